"""An owner may want the apps asleep once the month's traffic is used up: they sleep visibly, and wake when there is more."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client

from tenants import metering
from tenants.errors import Conflict
from tenants.followups import settle_cap
from tenants.metering import Reading
from tenants.models import CloudHold, Event, HoldCause, Instance, LimitMark, LimitNotice, TrafficCap
from tenants.reconcile import alerts, limits
from tenants.services import holds, waking
from tenants.services.caps import cap_traffic
from tenants.services.closing import close_account, reopen_account
from tenants.services.instances import install_app
from tenants.services.overrides import grant_override
from tenants.services.plan_changes import change_plan
from tenants.services.plans import edit_plan
from tenants.states import CloudState
from tenants.tasks import look_at_limits
from tests.api.client import Program, error
from tests.clocks import Clock
from tests.offers import offer
from tests.tenants.traffic import GB, ROOM, limited, look, send
from tests.worlds import MemoryCluster, active_person, released, settle

pytestmark = pytest.mark.django_db


@pytest.fixture
def instance(clock: Clock, cluster: MemoryCluster) -> Instance:
    return limited(cluster)


def state(instance: Instance) -> tuple[str, int]:
    """The cloud's, and how many replicas of the app are wanted to run."""
    instance.cloud.refresh_from_db()
    instance.refresh_from_db()
    return instance.cloud.state, CloudHold.objects.filter(cloud=instance.cloud, cause="traffic").count()


def cap(instance: Instance, is_on: bool = True, most_bytes: int | None = None) -> None:
    cap_traffic(instance.cloud.owner, instance.cloud, is_on=is_on, most_bytes=most_bytes)
    settle()


AWAKE, ASLEEP = ("active", 0), ("asleep", 1)


def test_without_a_cap_nothing_sleeps(clock: Clock, instance: Instance) -> None:
    send(clock, instance, 500)
    assert state(instance) == AWAKE


def test_with_a_cap_the_apps_sleep_at_the_plans_figure_until_the_month_ends(
    clock: Clock,
    instance: Instance,
    cluster: MemoryCluster,
) -> None:
    cap(instance)
    send(clock, instance, 99)
    assert (state(instance), cluster.specs[instance.pk].replicas) == (AWAKE, 1)
    send(clock, instance, 100)
    assert (state(instance), cluster.specs[instance.pk].replicas) == (ASLEEP, 0)
    assert "This month’s traffic is used up (100 GB)" in instance.cloud.state_reason
    events = Event.objects.count()
    send(clock, instance, 100.5)
    look()
    assert (state(instance), Event.objects.count()) == (ASLEEP, events), "the same again changes nothing"
    clock.now = datetime(2026, 2, 1, tzinfo=UTC)
    look()
    assert (state(instance), cluster.specs[instance.pk].replicas) == (AWAKE, 1)


def test_an_account_that_is_kept_in_another_month_has_traffic_again(clock: Clock, instance: Instance) -> None:
    owner = instance.cloud.owner
    cap(instance)
    send(clock, instance, 100)
    close_account(owner)
    settle()
    clock.now = datetime(2026, 2, 1, tzinfo=UTC)
    look()
    reopen_account(owner)
    look()
    assert state(instance) == AWAKE


def test_a_raised_cap_and_none_wake_them_at_once(clock: Clock, instance: Instance) -> None:
    cap(instance, most_bytes=10 * GB)
    send(clock, instance, 20)
    assert state(instance) == ASLEEP
    for most_bytes, expected in ((30 * GB, AWAKE), (15 * GB, ASLEEP), (None, AWAKE)):
        cap(instance, most_bytes=most_bytes)
        assert state(instance) == expected, most_bytes
    send(clock, instance, 101)
    assert state(instance) == ASLEEP
    cap(instance, is_on=False)
    assert state(instance) == AWAKE and not TrafficCap.objects.exists()


def test_a_larger_plan_wakes_them_and_a_smaller_one_lets_them_sleep(clock: Clock, instance: Instance) -> None:
    offer("large", **ROOM, traffic_bytes=200 * GB)
    cap(instance)
    send(clock, instance, 150)
    assert state(instance) == ASLEEP
    change_plan(None, instance.cloud, "large", by_operator=True)
    settle()
    assert state(instance) == AWAKE
    change_plan(None, instance.cloud, "small", by_operator=True)
    settle()
    assert state(instance) == ASLEEP
    edit_plan(None, "small", {"traffic_bytes": 160 * GB})
    look()
    assert state(instance) == AWAKE
    grant_override(None, instance.cloud, {"traffic_bytes": GB}, reason="r", ends_at=clock.now + timedelta(hours=1))
    look()
    assert state(instance) == ASLEEP
    clock.now += timedelta(hours=2)
    limits.end_overrides()
    look()
    assert state(instance) == AWAKE


def test_each_app_says_why_it_does_not_run_and_nothing_wakes_it(clock: Clock, instance: Instance) -> None:
    program = Program(instance.cloud.owner)
    cap(instance)
    send(clock, instance, 100)
    told = program("GET", f"instances/{instance.pk}/").json()
    assert told["state"] == "stopped" and "traffic is used up (100 GB)" in told["state_reason"]
    for verb in ("wake", "restart"):
        answer = program("POST", f"instances/{instance.pk}/{verb}/", None)
        assert error(answer)[:2] == (409, "cloud_unavailable")
        assert "traffic is used up (100 GB), and you chose" in answer.json()["error"]["message"]
    with pytest.raises(Conflict, match="used up"):
        install_app(instance.cloud.owner, app_slug=instance.app.slug)
    assert waking.wake(instance.pk) == "stopped", "as the gate asks for whoever may enter"
    cap(instance, most_bytes=50 * GB)
    instance.refresh_from_db()
    assert "used up (50 GB)" in instance.state_reason
    cap(instance, is_on=False)
    told = program("GET", f"instances/{instance.pk}/").json()
    assert (told["state"], told["state_reason"]) == ("running", "")


def test_one_that_slept_before_sleeps_again_afterwards(clock: Clock, instance: Instance) -> None:
    Instance.objects.update(state="asleep", wanted="asleep")
    cap(instance)
    send(clock, instance, 100)
    cap(instance, is_on=False)
    instance.refresh_from_db()
    assert (instance.state, instance.state_reason) == ("asleep", "")


def test_another_cause_goes_on_holding(clock: Clock, instance: Instance) -> None:
    cap(instance)
    send(clock, instance, 101)
    with transaction.atomic():
        holds.hold(instance.cloud, HoldCause.PAYMENT, CloudState.ASLEEP, "It is not paid.")
    cap(instance, is_on=False)
    assert state(instance) == ("asleep", 0) and instance.cloud.state_reason == "It is not paid."


def test_a_word_that_is_lost_comes_again_with_the_next_look(clock: Clock, instance: Instance) -> None:
    cap(instance)
    metering.record([Reading("gate", instance.pk, bytes_out=101 * GB)])
    look_at_limits()  # and the message to the worker that was to do it is lost
    assert state(instance) == AWAKE
    assert alerts.look() == [instance.cloud_id]
    settle_cap(instance.cloud_id)
    settle_cap(instance.cloud_id)
    assert state(instance) == ASLEEP
    assert alerts.look() == [] and not LimitMark.objects.exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"hard_cap": True, "cap_bytes": 0}, "cap_bytes"),
        ({"hard_cap": True, "cap_bytes": -1}, "cap_bytes"),
        ({"hard_cap": True, "cap_bytes": 100 * GB + 1}, "cap_bytes"),
        ({"hard_cap": True, "cap_bytes": 10**30}, "cap_bytes"),
        ({"hard_cap": True, "cap_bytes": 1.5}, "cap_bytes"),
        ({"hard_cap": True, "cap_bytes": True}, "cap_bytes"),
        ({"hard_cap": True, "cap_bytes": "5"}, "cap_bytes"),
        ({"hard_cap": "perhaps"}, "hard_cap"),
        ({"hard_cap": None}, "hard_cap"),
        ({"hard_cap": False, "cap_bytes": 5}, "cap_bytes"),
        ({"cap_bytes": 5}, "cap_bytes"),
        ({"used_bytes": 0}, "used_bytes"),
    ],
)
def test_what_cannot_be_names_the_field(clock: Clock, instance: Instance, body: Any, field: str) -> None:
    assert error(Program(instance.cloud.owner)("PATCH", "cloud/usage/", body))[::2] == (422, field)
    assert not TrafficCap.objects.exists()


def test_a_plan_without_limit_needs_a_figure(clock: Clock, instance: Instance) -> None:
    change_plan(None, instance.cloud, "household", by_operator=True)
    program = Program(instance.cloud.owner)
    assert error(program("PATCH", "cloud/usage/", {"hard_cap": True}))[::2] == (422, "cap_bytes")
    told = program("PATCH", "cloud/usage/", {"hard_cap": True, "cap_bytes": GB}).json()
    assert (told["hard_cap"], told["cap_bytes"], told["plan_bytes"]) == (True, GB, None)
    send(clock, instance, 2)
    assert state(instance) == ASLEEP and program("GET", "cloud/usage/").json()["traffic"]["is_asleep"] is True


def test_programs_choose_it_and_what_they_leave_out_stays(clock: Clock, instance: Instance) -> None:
    program = Program(instance.cloud.owner)
    for body, expected in (
        ({"hard_cap": True}, (True, None)),
        ({"cap_bytes": GB}, (True, GB)),
        ({}, (True, GB)),
        ({"hard_cap": True, "cap_bytes": None}, (True, None)),
        ({"cap_bytes": GB}, (True, GB)),
        ({"hard_cap": False}, (False, None)),
    ):
        told = program("PATCH", "cloud/usage/", body).json()
        assert (told["hard_cap"], told["cap_bytes"]) == expected, body
    assert program("PATCH", "cloud/usage/", {"hard_cap": True, "cap_bytes": 90 * GB}, key="k").status_code == 200
    edit_plan(None, "small", {"traffic_bytes": 80 * GB})
    assert program("PATCH", "cloud/usage/", {}).json()["cap_bytes"] == 90 * GB, "what was right once may stay"
    assert Program(instance.cloud.owner, ("read",))("PATCH", "cloud/usage/", {}).status_code == 403
    stranger = Program(active_person(MemoryCluster()))
    assert stranger("GET", "cloud/usage/").json()["traffic"]["hard_cap"] is False


def test_it_is_chosen_and_seen_on_the_usage_page(clock: Clock, instance: Instance) -> None:
    http = Client()
    http.force_login(instance.cloud.owner)

    def choose(**sent: str) -> str:
        return http.post("/cloud/usage/cap/", sent, follow=True).content.decode()

    for sent, said in (
        ({"when": "own", "gigabytes": "0"}, "GB a month: "),
        ({"when": "own", "gigabytes": "x"}, "GB a month: "),
        ({"when": "own"}, "A whole number of bytes"),
        ({"when": "own", "gigabytes": "101"}, "Your plan gives 100 GB a month."),
        ({"when": "never"}, "used up: "),
        ({}, "used up: "),
    ):
        assert said in choose(**sent) and not TrafficCap.objects.exists(), sent
    page = choose(when="own", gigabytes="1.5")
    assert TrafficCap.objects.get().most_bytes == 1_500_000_000 and 'value="1.5' in page
    send(clock, instance, 2)
    for path in ("/cloud/usage/", "/cloud/"):
        assert "This month’s traffic is used up" in http.get(path).content.decode(), path
    page = http.get("/cloud/usage/").content.decode()
    assert "Your apps sleep." in page and "They wake on 1 February" in page
    assert "Your apps sleep." not in choose(when="off") and state(instance) == AWAKE


def test_rounds_plans_and_caps_at_once_end_as_the_last_of_them_says(races: None, cluster: MemoryCluster) -> None:
    """Nobody waits for whom waits for them, no mail goes out twice, and who is over sleeps."""
    offer("small", **ROOM, traffic_bytes=100 * GB)
    slug = released(cluster).app.slug
    copies = [install_app(active_person(cluster), app_slug=slug)[0] for _ in range(3)]
    for copy in copies:
        change_plan(None, copy.cloud, "small", by_operator=True)

    def work(number: int) -> None:
        copy, turn = copies[number % 3], number // 3
        try:
            if turn % 4 == 0:
                metering.record([Reading(f"{one.pk}", one.pk, bytes_out=(turn + 1) * 9 * GB) for one in copies])
            elif turn % 4 == 1:
                for cloud_id in alerts.look():
                    settle_cap(cloud_id)
            elif turn % 4 == 2:
                cap_traffic(copy.cloud.owner, copy.cloud, is_on=True, most_bytes=(90 - turn) * GB)
            else:
                edit_plan(None, "small", {"traffic_bytes": (100 + turn) * GB})
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(48)))
    metering.record([Reading(f"{one.pk}", one.pk, bytes_out=200 * GB) for one in copies])
    look()
    for copy in copies:
        assert state(copy) == ASLEEP
        counting = LimitNotice.objects.filter(cloud=copy.cloud, ended_at=None).order_by("percent")
        assert list(counting.values_list("percent", flat=True)) == [80, 95, 100]
    assert not LimitMark.objects.exists()


def test_a_closing_cloud_keeps_its_choice(clock: Clock, instance: Instance) -> None:
    instance.cloud.state = "closing"
    instance.cloud.save()
    answer = Program(instance.cloud.owner)("PATCH", "cloud/usage/", {"hard_cap": True})
    assert error(answer)[:2] == (409, "cloud_unavailable")
