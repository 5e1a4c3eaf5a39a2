"""Scheduled actions through the API."""

from datetime import datetime
from urllib.parse import quote

import pytest
from django.utils import timezone

from tenants.models import ActionRun
from tests.api.client import Program, error
from tests.worlds import SPACEFILE, MemoryCluster, active_person, released, settle

pytestmark = pytest.mark.django_db
KEY = "nightly/clean up"
ACTIONS = (
    f"    actions: [{{id: {KEY}, name: Clean, description: All of it, trigger: schedule, default_interval: 1 day}}]\n"
)
PATH = quote(KEY)


def installed(cluster: MemoryCluster, user: Program, spacefile: str = SPACEFILE + ACTIONS) -> str:
    slug = released(cluster, spacefile).app.slug
    copy: str = user("POST", "instances/", {"app": slug}).json()["id"]
    settle()
    return copy


def test_an_instances_actions_are_listed_changed_and_run(cluster: MemoryCluster) -> None:
    user = Program(active_person(cluster))
    copy = installed(cluster, user)
    answer = user("GET", f"instances/{copy}/actions/").json()
    [shown] = answer["results"]
    due = shown.pop("next_run_at")
    assert due.endswith("T00:00:00.000Z") and datetime.fromisoformat(due) > timezone.now()
    assert (answer["next"], shown) == (
        None,
        {
            "id": KEY,
            "micro": "main",
            "name": "Clean",
            "description": "All of it",
            "interval": "1 day",
            "default_interval": "1 day",
            "interval_in_words": "every day",
            "enabled": True,
            "last_run": None,
        },
    )
    off = user("PATCH", f"instances/{copy}/actions/{PATH}/", {"enabled": False, "interval": "0 9 * * mon-fri"}).json()
    assert (off["enabled"], off["next_run_at"], off["interval"]) == (False, None, "0 9 * * mon-fri")
    assert off["interval_in_words"] == "at 09:00 on Monday through Friday (UTC)"
    on = user("PATCH", f"instances/{copy}/actions/{PATH}/", {"enabled": True, "interval": None}).json()
    assert (on["interval"], on["next_run_at"]) == ("1 day", due)
    begun = user("POST", f"instances/{copy}/actions/{PATH}/run/", key="k")
    assert (begun.status_code, begun.json()["state"], begun.json()["trigger"]) == (202, "queued", "person")
    assert user("POST", f"instances/{copy}/actions/{PATH}/run/", key="k").json() == begun.json()
    assert error(user("POST", f"instances/{copy}/actions/{PATH}/run/", key="other")) == (409, "action_running", None)
    run = begun.json()["id"]
    ActionRun.objects.filter(pk=run).update(
        sent_at=timezone.now(), finished_at=timezone.now(), result="succeeded", http_status=204, duration_ms=12
    )
    told = user("GET", f"instances/{copy}/actions/{PATH}/runs/{run}/").json()
    assert (told["state"], told["http_status"], told["duration_ms"], told["error"]) == ("succeeded", 204, 12, None)
    assert user("GET", f"instances/{copy}/actions/{PATH}/runs/").json()["results"] == [told]
    assert user("GET", f"instances/{copy}/actions/{PATH}/").json()["last_run"] == told


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"interval": "every day"}, "interval"),
        ({"interval": "0 0 30 2 *"}, "interval"),
        ({"interval": ""}, "interval"),
        ({"interval": "x" * 401}, "interval"),
        ({"interval": 5}, "interval"),
        ({"interval": "1 day\u0000"}, "interval"),
        ({"enabled": "perhaps"}, "enabled"),
        ({"enabled": None}, "enabled"),
        ({"next_run_at": "2026-01-01T00:00:00Z"}, "next_run_at"),
    ],
)
def test_a_bad_change_is_refused_by_the_field(cluster: MemoryCluster, body: object, field: str) -> None:
    user = Program(active_person(cluster))
    copy = installed(cluster, user)
    before = user("GET", f"instances/{copy}/actions/").json()
    answer = user("PATCH", f"instances/{copy}/actions/{PATH}/", body)
    assert (answer.status_code, error(answer)[2]) == (422, field)
    assert user("GET", f"instances/{copy}/actions/").json() == before


@pytest.mark.parametrize(
    ("method", "more"), [("GET", ""), ("PATCH", ""), ("POST", "run/"), ("GET", "runs/"), ("GET", "runs/run1/")]
)
def test_a_strangers_actions_are_not_there(cluster: MemoryCluster, method: str, more: str) -> None:
    copy = installed(cluster, Program(active_person(cluster)))
    stranger = Program(active_person(cluster))
    assert stranger("GET", f"instances/{copy}/actions/").status_code == 404
    assert error(stranger(method, f"instances/{copy}/actions/{PATH}/{more}", {}))[0] == 404
    assert not ActionRun.objects.exists()


def test_a_token_that_may_only_read_changes_nothing(cluster: MemoryCluster) -> None:
    owner = active_person(cluster)
    copy = installed(cluster, Program(owner))
    reader = Program(owner, ("read",))
    assert reader("GET", f"instances/{copy}/actions/").status_code == 200
    assert reader("PATCH", f"instances/{copy}/actions/{PATH}/", {"enabled": False}).status_code == 403
    assert reader("POST", f"instances/{copy}/actions/{PATH}/run/").status_code == 403


def test_an_app_without_actions_has_an_empty_list(cluster: MemoryCluster) -> None:
    user = Program(active_person(cluster))
    copy = installed(cluster, user, SPACEFILE)
    assert user("GET", f"instances/{copy}/actions/").json() == {"next": None, "results": []}
