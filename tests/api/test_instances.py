"""/api/v1/instances/ and operations/."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.utils import timezone

from k8s.specs import MicroPhase
from tenants.models import Drain, DrainAnswer, Gate, Instance, Operation
from tenants.services import clouds, sleeping
from tests.api.client import Program, error
from tests.worlds import MemoryCluster, active_person, released, settle

pytestmark = pytest.mark.django_db


def test_install_watch_restart_remove(cluster: MemoryCluster) -> None:
    slug, user = released(cluster).app.slug, active_person(cluster)
    program = Program(user)
    answer = program("POST", "instances/", {"app": slug})
    made = answer.json()
    assert answer.status_code == 202
    assert made["state"] == "installing"
    assert made["url"] == f"http://{made['host']}:8000/"
    settle()
    shown = program("GET", f"instances/{made['id']}/").json()
    assert (shown["state"], shown["app"], shown["host"]) == ("running", slug, made["host"])
    operation = program("GET", f"operations/{made['operation']}/").json()
    assert operation["state"] == "succeeded"
    assert [step["name"] for step in operation["steps"]] == ["reserve", "prepare", "start", "address"]
    assert operation["error"] is None

    restart = program("POST", f"instances/{made['id']}/restart/")
    assert (restart.status_code, restart.json()["kind"]) == (202, "restart")
    assert error(program("POST", f"instances/{made['id']}/restart/")) == (409, "instance_busy", None)
    settle()
    assert cluster.specs[made["id"]].restart == 1

    assert program("DELETE", f"instances/{made['id']}/").status_code == 202
    settle()
    assert program("GET", f"instances/{made['id']}/").json()["state"] == "removed"
    assert program("GET", "instances/").json() == {"results": [], "next": None}
    assert program("DELETE", f"instances/{made['id']}/").json()["state"] == "succeeded"
    assert cluster.specs == {}


def test_strangers_and_nobody_get_nothing(cluster: MemoryCluster) -> None:
    slug, user = released(cluster).app.slug, active_person(cluster)
    made = Program(user)("POST", "instances/", {"app": slug}).json()
    stranger, nobody = Program(active_person(cluster)), Program()
    one = f"instances/{made['id']}/"
    calls = [
        ("GET", one),
        ("PATCH", one),
        ("DELETE", one),
        ("POST", f"{one}restart/"),
        ("GET", f"operations/{made['operation']}/"),
    ]
    for method, path in calls:
        assert error(stranger(method, path, {} if method == "PATCH" else None)) == (404, "not_found", None)
        assert error(nobody(method, path))[:2] == (401, "not_authenticated")
    assert stranger("GET", "instances/").json()["results"] == []
    assert stranger("GET", "operations/").json()["results"][0]["kind"] == "create_cloud"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "app"),
        ({"app": 5.5, "host": "mine.example"}, "host"),
        ({"app": "x", "state": "running"}, "state"),
        ({"app": "x", "alias": "No!"}, None),
        ({"app": "x", "size": {"cpu_millis": -1}}, "size"),
        ({"app": "x", "size": {"disk": 1}}, "size"),
        ({"app": "x", "size": 7}, "size"),
        ({"app": "x", "config": {"A": 1}}, "config"),
        ({"app": "x", "config": []}, "config"),
        ({"app": "x\x00"}, "app"),
        ([], None),
        ("text", None),
    ],
)
def test_bad_wishes_name_their_field(cluster: MemoryCluster, body: object, field: str | None) -> None:
    answer = Program(active_person(cluster))("POST", "instances/", body)
    if field is None:
        assert answer.status_code in (404, 422)
    else:
        assert error(answer) == (422, "invalid", field)


def test_an_alias_is_checked(cluster: MemoryCluster) -> None:
    slug = released(cluster).app.slug
    answer = Program(active_person(cluster))("POST", "instances/", {"app": slug, "alias": "No!"})
    assert error(answer) == (422, "invalid_alias", "alias")


def test_an_app_that_is_not_there_is_not_found(cluster: MemoryCluster) -> None:
    assert error(Program(active_person(cluster))("POST", "instances/", {"app": "nothing"}))[0] == 404


def test_over_quota_is_said_with_figures(cluster: MemoryCluster) -> None:
    slug, user = released(cluster).app.slug, active_person(cluster)
    clouds.set_quota(None, user.cloud, cpu_millis=None, memory_mib=100, storage_mib=None, instances=None)
    answer = Program(user)("POST", "instances/", {"app": slug})
    assert error(answer) == (422, "quota_exceeded", None)
    detail = answer.json()["error"]["detail"]
    assert detail == {"resource": "memory_mib", "limit": 100, "used": 0, "needed": 512}


def test_a_dry_run_says_what_it_takes_and_makes_nothing(cluster: MemoryCluster) -> None:
    slug, user = released(cluster).app.slug, active_person(cluster)
    answer = Program(user)("POST", "instances/?dry_run=true", {"app": slug, "size": {"cpu_millis": 400}})
    plan = answer.json()
    assert answer.status_code == 200
    assert plan["resources"] == {"cpu_millis": 400, "memory_mib": 512, "storage_mib": 500, "instances": 1}
    assert plan["quota_after"] == plan["resources"]
    assert plan["calls"] == ["internet"]
    assert not Instance.objects.exists()


def test_the_same_key_makes_one_instance_and_the_same_answer(cluster: MemoryCluster) -> None:
    slug, user = released(cluster).app.slug, active_person(cluster)
    program = Program(user)
    first, second = (program("POST", "instances/", {"app": slug}, key="click") for _ in range(2))
    assert (first.status_code, first.json()) == (second.status_code, second.json())
    assert second.headers["Idempotent-Replayed"] == "true"
    assert Instance.objects.count() == 1
    other = program("POST", "instances/", {"app": slug, "alias": "other"}, key="click")
    assert error(other) == (422, "idempotency_key_reused", "Idempotency-Key")
    assert program("POST", "instances/", {"app": slug}, key="other").json()["id"] != first.json()["id"]


def test_a_refusal_is_not_kept_under_its_key(cluster: MemoryCluster) -> None:
    slug, user = released(cluster).app.slug, active_person(cluster)
    program = Program(user)
    none = {"cpu_millis": None, "memory_mib": None, "storage_mib": None, "instances": None}
    clouds.set_quota(None, user.cloud, **{**none, "instances": 0})
    assert program("POST", "instances/", {"app": slug}, key="k").status_code == 422
    clouds.set_quota(None, user.cloud, **none)
    assert program("POST", "instances/", {"app": slug}, key="k").status_code == 202


def test_new_settings_restart_it_and_another_alias_does_not(cluster: MemoryCluster) -> None:
    spacefile = (
        "v: 0\nmicros:\n  - name: main\n    src: .\n    engine: python3.9\n"
        "    presets: {env: [{name: COLOUR, default: red}]}\n"
    )
    slug, user = released(cluster, spacefile).app.slug, active_person(cluster)
    program = Program(user)
    made = program("POST", "instances/", {"app": slug}).json()
    settle()
    renamed = program("PATCH", f"instances/{made['id']}/", {"alias": "better"})
    assert (renamed.status_code, renamed.json()["alias"], renamed.json()["host"]) == (200, "better", made["host"])
    changed = program("PATCH", f"instances/{made['id']}/", {"config": {"COLOUR": "green"}})
    assert changed.status_code == 202
    settle()
    assert cluster.specs[made["id"]].micros[0].env["COLOUR"] == "green"
    assert error(program("PATCH", f"instances/{made['id']}/", {"config": {"X": "y"}})) == (
        422,
        "invalid_config",
        "config",
    )
    assert error(program("PATCH", f"instances/{made['id']}/", {"host": "x"})) == (422, "invalid", "host")


def test_retry_of_a_failed_one_works(cluster: MemoryCluster) -> None:
    slug, user = released(cluster).app.slug, active_person(cluster)
    program = Program(user)
    cluster.phase = MicroPhase.FAILED
    made = program("POST", "instances/", {"app": slug}).json()
    settle()
    shown = program("GET", f"instances/{made['id']}/").json()
    assert shown["state"] == "failed"
    assert "listen" in shown["state_reason"]
    cluster.phase = MicroPhase.READY
    assert program("POST", f"instances/{made['id']}/restart/").status_code == 202
    settle()
    assert program("GET", f"instances/{made['id']}/").json()["state"] == "running"


def test_data_is_kept_unless_said_otherwise(cluster: MemoryCluster) -> None:
    spacefile = "v: 1\nvolume: /data\nmicros:\n  - {name: main, src: ., engine: python3.9}\n"
    slug, user = released(cluster, spacefile).app.slug, active_person(cluster)
    program = Program(user)
    kept, gone = (program("POST", "instances/", {"app": slug}).json()["id"] for _ in range(2))
    settle()
    assert error(program("DELETE", f"instances/{gone}/?data=burn")) == (422, "invalid_data", "data")
    program("DELETE", f"instances/{kept}/")
    program("DELETE", f"instances/{gone}/?data=delete")
    settle()
    assert cluster.volumes == {kept}


def test_lists_cost_the_same_however_long(cluster: MemoryCluster, django_assert_max_num_queries: object) -> None:
    slug, user = released(cluster).app.slug, active_person(cluster)
    program = Program(user)
    for _ in range(6):
        program("POST", "instances/", {"app": slug})
    program("GET", "instances/")  # the token's use is noted once a minute
    for path in ("instances/", "operations/", "apps/", "cloud/"):
        with django_assert_max_num_queries(6):  # type: ignore[operator]
            assert program("GET", path).status_code == 200
    page = program("GET", "instances/?page_size=4").json()
    assert len(page["results"]) == 4
    rest = program.http.get(page["next"], headers=program.headers).json()
    assert (len(rest["results"]), rest["next"]) == (2, None)


def test_fifty_at_once_with_room_for_a_few(races: None, cluster: MemoryCluster) -> None:
    slug, user = released(cluster).app.slug, active_person(cluster)
    clouds.set_quota(None, user.cloud, cpu_millis=None, memory_mib=None, storage_mib=None, instances=2)
    program = Program(user)

    def attempt(_: int) -> tuple[int, str]:
        try:
            answer = program("POST", "instances/", {"app": slug})
            return answer.status_code, answer.json().get("error", {}).get("code", "")
        finally:
            connection.close()

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(attempt, range(50)))
    assert answers.count((202, "")) == 2
    assert answers.count((422, "quota_exceeded")) == 48


def test_clicks_at_once_with_one_key_make_one(races: None, cluster: MemoryCluster) -> None:
    slug, user = released(cluster).app.slug, active_person(cluster)
    program = Program(user)

    def click(_: int) -> str:
        try:
            return str(program("POST", "instances/", {"app": slug}, key="same").json()["id"])
        finally:
            connection.close()

    with ThreadPoolExecutor(10) as pool:
        answers = set(pool.map(click, range(20)))
    assert len(answers) == 1
    assert Instance.objects.count() == 1
    assert Operation.objects.filter(kind="install").count() == 1


def test_the_idle_time_is_its_owners_choice(cluster: MemoryCluster) -> None:
    program = Program(active_person(cluster))
    made = program("POST", "instances/", {"app": released(cluster).app.slug}).json()
    settle()
    one = f"instances/{made['id']}/"
    assert program("GET", one).json()["sleep_after_s"] is None
    for seconds in (60, 0, None):
        changed = program("PATCH", one, {"sleep_after_s": seconds})
        assert (changed.status_code, changed.json()["sleep_after_s"]) == (200, seconds)
    for wrong in (-1, 30 * 24 * 3600 + 1, "soon"):
        assert error(program("PATCH", one, {"sleep_after_s": wrong}))[::2] == (422, "sleep_after_s")
    assert error(program("PATCH", one, {"sleep_after_s": 5, "alias": "No!"}))[0] == 422
    assert program("GET", one).json()["sleep_after_s"] is None  # all of it or nothing


def test_sleep_and_wake_by_program(cluster: MemoryCluster) -> None:
    user = active_person(cluster)
    program, stranger = Program(user), Program(active_person(cluster))
    made = program("POST", "instances/", {"app": released(cluster).app.slug}).json()
    one = f"instances/{made['id']}/"
    assert error(program("POST", f"{one}sleep/"))[:2] == (409, "instance_busy")
    settle()
    for verb in ("sleep", "wake"):
        assert error(stranger("POST", f"{one}{verb}/")) == (404, "not_found", None)
    asked = program("POST", f"{one}sleep/")
    assert (asked.status_code, asked.json()["kind"]) == (202, "sleep")
    Gate.objects.create(id="g", cell_id=user.cloud.cell_id, seen_at=timezone.now())
    DrainAnswer.objects.create(drain=Drain.objects.get(), gate_id="g", open=0)
    sleeping.finish_drains()
    settle()
    assert program("GET", one).json()["state"] == "asleep"
    assert program("GET", f"operations/{asked.json()['id']}/").json()["state"] == "succeeded"
    woken = program("POST", f"{one}wake/")
    assert (woken.status_code, program("GET", one).json()["state"]) == (202, "waking")
    settle()
    assert program("GET", one).json()["state"] == "running"
    steps = program("GET", f"operations/{woken.json()['id']}/").json()["steps"]
    assert [(step["name"], step["state"]) for step in steps] == [
        (name, "succeeded") for name in ("room", "start", "address")
    ]
