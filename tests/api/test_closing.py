"""DELETE /api/v1/cloud/ and POST /api/v1/cloud/reopen/."""

import pytest

from tenants.models import Cloud
from tests.api.client import Program, error
from tests.worlds import PASSWORD, MemoryCluster, active_person, settle

pytestmark = pytest.mark.django_db


def test_an_account_is_closed_with_a_date_and_can_be_kept(cluster: MemoryCluster) -> None:
    person = active_person(cluster)
    program = Program(person)
    answer = program("DELETE", "cloud/")
    assert answer.status_code == 202
    assert (answer.json()["state"], answer.json()["erase_at"][-1]) == ("closing", "Z")
    assert error(program("GET", "cloud/"))[0] == 401  # the token has ended too
    wish = {"email": person.email, "password": PASSWORD, "name": "again", "scopes": ["*"]}
    again = Program()
    again.headers["Authorization"] = f"Bearer {again('POST', 'tokens/', wish).json()['token']}"
    shown = again("GET", f"operations/{answer.json()['operation']}/").json()
    assert (shown["kind"], [step["name"] for step in shown["steps"]]) == (
        "close_cloud",
        ["dark", "stop", "wait", "erase", "account"],
    )
    kept = again("POST", "cloud/reopen/")
    assert (kept.status_code, kept.json()["state"], kept.json()["erase_at"]) == (202, "active", None)
    settle()
    assert again("GET", f"operations/{kept.json()['operation']}/").json()["state"] == "succeeded"
    assert error(again("POST", "cloud/reopen/")) == (409, "not_closing", None)


@pytest.mark.parametrize(("method", "path"), [("DELETE", "cloud/"), ("POST", "cloud/reopen/")])
@pytest.mark.parametrize("scope", ["read", "instances", "projects", "tokens"])
def test_a_token_of_another_scope_closes_nothing(cluster: MemoryCluster, method: str, path: str, scope: str) -> None:
    person = active_person(cluster)
    assert error(Program(person, (scope,))(method, path))[0] == 403
    assert Cloud.objects.get(owner=person).state == "active"


@pytest.mark.parametrize(("method", "path"), [("DELETE", "cloud/"), ("POST", "cloud/reopen/")])
def test_nobody_closes_nothing(method: str, path: str) -> None:
    assert error(Program()(method, path))[0] == 401


def test_whoever_was_erased_cannot_make_a_token(cluster: MemoryCluster, settings: object) -> None:
    settings.ERASE_AFTER_DAYS = 0  # type: ignore[attr-defined]
    person = active_person(cluster)
    Program(person)("DELETE", "cloud/")
    settle()
    wish = {"email": person.email, "password": PASSWORD, "name": "again", "scopes": ["*"]}
    assert error(Program()("POST", "tokens/", wish)) == (401, "invalid_credentials", None)
