"""/api/v1/accounts/, tokens/ and cloud/."""

import pytest
from pytest_django.fixtures import Settings

from tenants.models import ApiToken, Cloud, IdempotencyRecord, User
from tests.api.client import Program, error
from tests.worlds import PASSWORD, MemoryCluster, active_person, new_person, settle

pytestmark = pytest.mark.django_db
ADA = {"email": "ada@example.org", "password": PASSWORD, "handle": "ada"}


def test_signing_up_gives_an_account_a_cloud_and_a_token(cluster: MemoryCluster) -> None:
    program = Program()
    answer = program("POST", "accounts/", ADA)
    assert answer.status_code == 201
    assert (answer.json()["handle"], answer.json()["cloud"]["state"]) == ("ada", "creating")
    wish = {"email": "Ada@Example.org", "password": PASSWORD, "name": "bar", "scopes": ["*"]}
    token = program("POST", "tokens/", wish)
    assert token.status_code == 201
    program.headers["Authorization"] = f"Bearer {token.json()['token']}"
    settle()
    cloud = program("GET", "cloud/").json()
    assert (cloud["handle"], cloud["state"], cloud["plan"]) == ("ada", "active", "household")
    assert cloud["quota"] == {"cpu_millis": 20_000, "memory_mib": 20_480, "storage_mib": 20_480, "instances": 20}
    assert set(cloud["usage"].values()) == {0}
    assert token.json()["token"] not in str(ApiToken.objects.values())


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"handle": "admin"}, "handle"),
        ({"handle": "x"}, "handle"),
        ({"handle": "аda"}, "handle"),
        ({"email": "nobody"}, "email"),
        ({"email": "a@b\x00.org"}, "email"),
        ({"password": "short"}, "password"),
        ({"password": "password123"}, "password"),
        ({"is_staff": True}, "is_staff"),
        ({"plan": "huge"}, "plan"),
        ({"email": None}, "email"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_half_made(change: dict[str, object], field: str) -> None:
    status, _, named = error(Program()("POST", "accounts/", {**ADA, **change}))
    assert (status, named) == (422, field)
    assert (User.objects.count(), Cloud.objects.count()) == (0, 0)


@pytest.mark.parametrize("change", [{"handle": "other"}, {"email": "other@example.org"}, {"handle": "ADA"}])
def test_an_address_and_a_handle_are_one_persons(change: dict[str, str]) -> None:
    Program()("POST", "accounts/", ADA)
    status, code, field = error(Program()("POST", "accounts/", {**ADA, **change}))
    assert status == 422
    assert code in ("email_taken", "handle_taken")
    assert Cloud.objects.count() == 1


def test_a_repeated_sign_up_with_its_key_is_one(cluster: MemoryCluster) -> None:
    first, second = (Program()("POST", "accounts/", ADA, key="once") for _ in range(2))
    assert (first.status_code, first.json()) == (second.status_code, second.json())
    assert error(Program()("POST", "accounts/", {**ADA, "password": PASSWORD + "x"}, key="once"))[0] == 422
    assert PASSWORD not in str(list(IdempotencyRecord.objects.values()))


def test_sign_up_may_be_closed(settings: Settings) -> None:
    settings.SIGNUP = "closed"
    assert error(Program()("POST", "accounts/", ADA)) == (403, "signup_closed", None)


def test_an_unconfirmed_address_gets_a_mail_and_no_token(settings: Settings, mailoutbox: list[object]) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    assert Program()("POST", "accounts/", ADA).status_code == 201
    assert len(mailoutbox) == 1
    wish = {"email": ADA["email"], "password": PASSWORD, "name": "x", "scopes": ["*"]}
    assert error(Program()("POST", "tokens/", wish)) == (403, "email_unverified", None)


def test_a_wrong_password_and_an_unknown_address_look_alike() -> None:
    user = new_person()
    wish = {"password": "Wr0ng-horse-battery", "name": "x", "scopes": ["*"]}
    answers = [Program()("POST", "tokens/", {**wish, "email": e}) for e in (user.email, "no@example.org")]
    assert answers[0].json() == answers[1].json()
    assert [answer.status_code for answer in answers] == [401, 401]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"scopes": ["operator:*"]}, "scopes"),
        ({"scopes": []}, "scopes"),
        ({"scopes": "*"}, "scopes"),
        ({"name": ""}, "name"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"user": "usr1"}, "user"),
    ],
)
def test_bad_wishes_for_tokens_name_the_field(change: dict[str, object], field: str) -> None:
    user = new_person()
    wish = {"email": user.email, "password": PASSWORD, "name": "x", "scopes": ["*"], **change}
    status, _, named = error(Program()("POST", "tokens/", wish))
    assert (status, named) == (422, field)


def test_a_token_is_shown_once_even_to_a_repeated_request() -> None:
    user = new_person()
    wish = {"email": user.email, "password": PASSWORD, "name": "x", "scopes": ["read"]}
    token = Program()("POST", "tokens/", wish, key="k").json()["token"]
    assert error(Program()("POST", "tokens/", wish, key="k"))[:2] == (409, "token_shown_already")
    assert ApiToken.objects.count() == 1
    assert token not in str(list(IdempotencyRecord.objects.values()))


def test_a_revoked_token_stops_working() -> None:
    user = new_person()
    program, other = Program(user), Program(user)
    listed = program("GET", "tokens/").json()["results"]
    assert len(listed) == 2
    mine = ApiToken.objects.order_by("created_at").last()
    assert mine is not None
    assert program("GET", f"tokens/{mine.pk}/").json()["id"] == mine.pk
    assert error(Program(new_person())("DELETE", f"tokens/{mine.pk}/"))[0] == 404
    assert program("DELETE", f"tokens/{mine.pk}/").status_code == 204
    assert error(other("GET", "tokens/"))[:2] == (401, "not_authenticated")


def test_scopes_limit_a_token(cluster: MemoryCluster) -> None:
    user = active_person(cluster)
    reader, builder = Program(user, ("read",)), Program(user, ("projects",))
    assert reader("GET", "instances/").status_code == 200
    assert error(reader("POST", "projects/", {"name": "x"}))[:2] == (403, "forbidden")
    assert builder("POST", "projects/", {"name": "x"}).status_code == 201
    assert error(builder("GET", "instances/"))[:2] == (403, "forbidden")


@pytest.mark.parametrize("header", ["Bearer nonsense", "Bearer fh_a_b", "Basic abc", "Bearer", "Bearer fh_\x00_x"])
def test_what_is_no_token_is_refused(header: str) -> None:
    program = Program()
    program.headers["Authorization"] = header
    assert error(program("GET", "cloud/"))[:2] == (401, "not_authenticated")
