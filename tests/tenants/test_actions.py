"""Scheduled actions: each due time once, whoever dies when; what is missed is made up once; what is paused is not."""

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection
from django.utils import timezone

from tenants.errors import Refused
from tenants.models import Action, ActionRun, Cloud, Instance, RunResult, RunTrigger, UsageCount, UsageEvent, Wanted
from tenants.reconcile import actions
from tenants.reconcile.advisory import held
from tenants.reconcile.dispatch import AT_ONCE_OF_ONE_CLOUD, Dispatcher
from tenants.services import waking
from tenants.states import CloudState, InstanceState
from tests.journey.stack import until
from tests.tenants.actions import TIDY, Listener, Reached, action_of, due_now, installed, listening, nobody, work
from tests.worlds import SPACEFILE as PLAIN
from tests.worlds import MemoryCluster, settle

pytestmark = pytest.mark.usefixtures("races")
MINUTE = timedelta(minutes=1)


@pytest.fixture
def app() -> Iterator[Listener]:
    with listening() as listener:
        yield listener


def test_an_installed_app_has_its_actions_switched_on(cluster: MemoryCluster) -> None:
    before = timezone.now()
    _, instance = installed(cluster)
    action = action_of(instance)
    assert (action.name, action.micro, action.is_on, action.chosen_interval) == ("Tidy up", "main", True, "5 minutes")
    assert action.next_due is not None and action.next_due.second == 0
    assert before < action.next_due <= timezone.now() + MINUTE


def test_a_due_action_reaches_its_micro_once(cluster: MemoryCluster, app: Listener) -> None:
    _, instance = installed(cluster)
    action, clock, dispatcher = due_now(instance)
    work(dispatcher)
    work(dispatcher)
    [reached] = app.reached
    assert (reached.path, reached.host, reached.mount) == ("/__space/v0/actions", instance.host, "")
    assert reached.kind == "application/json"
    assert json.loads(reached.body) == {"event": {"id": "tidy", "trigger": "schedule"}}
    run = ActionRun.objects.get(action=action)
    assert (run.pk, run.result, run.http_status, run.answer, run.error) == (reached.run, "succeeded", 200, "done", "")
    assert (run.due_at, run.trigger) == (clock.now, RunTrigger.SCHEDULE)
    assert action_of(instance).next_due == clock.now + 5 * MINUTE


def test_nothing_is_done_before_its_time(cluster: MemoryCluster, app: Listener) -> None:
    _, instance = installed(cluster)
    _, clock, dispatcher = due_now(instance)
    clock.now -= timedelta(seconds=1)
    assert dispatcher.look() == 0
    assert (app.reached, ActionRun.objects.count()) == ([], 0)


def test_the_declared_path_and_mount_are_used(cluster: MemoryCluster, app: Listener) -> None:
    extra = (
        "  - name: jobs\n    src: site\n    path: work\n    engine: python3.9\n"
        "    actions: [{id: a b/ü, name: Odd, trigger: schedule, default_interval: 1 day, path: cron/it now}]\n"
    )
    _, instance = installed(cluster, TIDY + extra)
    _, _, dispatcher = due_now(instance, "a b/ü")
    work(dispatcher)
    odd = next(one for one in app.reached if "a b/" in json.loads(one.body)["event"]["id"])
    assert (odd.path, odd.mount) == ("/cron/it%20now", "work")
    assert json.loads(odd.body)["event"]["id"] == "a b/ü"


def test_a_standstill_of_a_day_is_made_up_once(cluster: MemoryCluster, app: Listener) -> None:
    _, instance = installed(cluster)
    action, clock, dispatcher = due_now(instance)
    missed, clock.now = clock.now, clock.now + timedelta(days=1, seconds=90)
    for _ in range(3):
        work(dispatcher)
    assert [run.due_at for run in action.runs.all()] == [missed]
    assert len(app.reached) == 1
    assert action_of(instance).next_due == missed + timedelta(days=1) + 5 * MINUTE


@pytest.mark.parametrize("status", [204, 302, 404, 500])
def test_what_the_app_answers_is_kept(cluster: MemoryCluster, app: Listener, status: int) -> None:
    _, instance = installed(cluster)
    action, _, dispatcher = due_now(instance)
    app.status, app.body = status, b"" if status == 204 else b"x\x00\xff" + b"y" * 100_000
    work(dispatcher)
    run = action.runs.get()
    assert (run.result, run.http_status) == ("succeeded" if status == 204 else "failed", status)
    assert len(run.answer) == (0 if status == 204 else actions.ANSWER_LIMIT)
    assert run.error == ("" if status == 204 else f"It answered {status}.")
    work(dispatcher)
    assert len(app.reached) == 1, "a failure is not repeated"


def test_many_workers_with_one_due_time_make_one_run(cluster: MemoryCluster, app: Listener) -> None:
    _, instance = installed(cluster)
    action, clock, _ = due_now(instance)
    gate = threading.Barrier(8)
    workers = [Dispatcher(nobody, clock) for _ in range(8)]

    def look(worker: Dispatcher) -> None:
        gate.wait()
        work(worker)
        connection.close()

    threads = [threading.Thread(target=look, args=(worker,)) for worker in workers]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert (len(app.reached), action.runs.count()) == (1, 1)


def test_two_runs_of_one_action_are_never_at_work(cluster: MemoryCluster, app: Listener) -> None:
    _, instance = installed(cluster)
    action, clock, first = due_now(instance)
    release = threading.Event()
    app.pause = release.wait
    first.look()
    until(lambda: app.reached, 60, "the first is at work", pause_s=0.01)
    clock.now += 5 * MINUTE
    second = Dispatcher(nobody, clock)
    work(second)
    assert (len(app.reached), action.runs.count()) == (1, 1)
    release.set()
    until(lambda: first.is_idle, 60, "the first is over")
    work(second)
    assert [run.result for run in action.runs.all()] == ["succeeded", "succeeded"]


def test_the_database_holds_no_two_open_runs_of_one_action(cluster: MemoryCluster) -> None:
    _, instance = installed(cluster)
    row: dict[str, Any] = {"action": action_of(instance), "trigger": "person", "created_at": timezone.now()}
    ActionRun.objects.create(due_at=timezone.now(), **row)
    with pytest.raises(IntegrityError, match="run_one_at_a_time"):
        ActionRun.objects.create(due_at=timezone.now(), **row)


def test_a_worker_that_died_before_it_sent_anything_is_made_up_for(cluster: MemoryCluster, app: Listener) -> None:
    _, instance = installed(cluster)
    action, clock, dispatcher = due_now(instance)
    assert actions.claim(action.pk, clock.now) is not None  # and then it is killed
    work(dispatcher)
    run = action.runs.get()
    assert (run.result, app.runs) == ("succeeded", [run.pk])


def test_a_worker_that_died_while_the_app_was_at_it_is_reported_and_not_repeated(
    cluster: MemoryCluster, app: Listener
) -> None:
    _, instance = installed(cluster)
    action, clock, dispatcher = due_now(instance)
    delivery = actions.claim(action.pk, clock.now)
    assert delivery is not None and actions.mark_sent(delivery, app.name, clock.now)
    app.admit(Reached("", "", delivery.run_id, "", "", b""))
    work(dispatcher)
    run = action.runs.get()
    assert (run.result, run.error, len(app.reached)) == ("lost", actions.LOST, 1)
    clock.now += 5 * MINUTE
    work(dispatcher)
    assert [run.result for run in action.runs.all()] == ["succeeded", "lost"]


def test_a_worker_that_died_before_the_last_byte_left_is_made_up_for_by_the_same_gate(
    cluster: MemoryCluster, app: Listener
) -> None:
    """It had written down that the run leaves; the gate knows that it did not."""
    _, instance = installed(cluster)
    action, clock, dispatcher = due_now(instance)
    delivery = actions.claim(action.pk, clock.now)
    assert delivery is not None and actions.mark_sent(delivery, app.name, clock.now)
    app.word = "absent"
    work(dispatcher)
    assert action.runs.get().sent_via == app.name, (
        "an answer that it was not passed on makes no other gate's business of it"
    )
    app.word = ""
    work(dispatcher)
    assert (action.runs.get().result, app.runs) == ("succeeded", [delivery.run_id])


@pytest.mark.parametrize("what", ["another gate", "too late"])
def test_without_a_gate_that_would_know_it_is_not_sent_again(cluster: MemoryCluster, app: Listener, what: str) -> None:
    _, instance = installed(cluster)
    action, clock, dispatcher = due_now(instance)
    delivery = actions.claim(action.pk, clock.now)
    assert delivery is not None and actions.mark_sent(delivery, app.name, clock.now)
    if what == "another gate":
        app.name = "gate2"
    else:
        clock.now += actions.WITNESSED
    Action.objects.filter(pk=action.pk).update(next_due=None)
    work(dispatcher)
    run = action.runs.get()
    assert (run.result, run.error, app.reached) == ("lost", actions.LOST, [])


def test_a_worker_that_lives_is_not_taken_for_dead(cluster: MemoryCluster, app: Listener) -> None:
    """Its lock ends with its connection, and not before: there is no time after which it counts as dead."""
    _, instance = installed(cluster)
    action, clock, dispatcher = due_now(instance)
    release, taken = threading.Event(), threading.Event()

    def live() -> None:
        with held(f"action:{action.pk}"):
            delivery = actions.claim(action.pk, clock.now)
            assert delivery is not None and actions.mark_sent(delivery, app.name, clock.now)
            taken.set()
            release.wait(60)
        connection.close()

    thread = threading.Thread(target=live)
    thread.start()
    assert taken.wait(60)
    clock.now += timedelta(hours=3)
    work(dispatcher)
    assert action.runs.get().result == ""
    release.set()
    thread.join()


@pytest.mark.parametrize("word", ["starting", "unknown", "absent"])
def test_what_did_not_reach_the_app_is_sent_again_until_it_does(
    cluster: MemoryCluster, app: Listener, word: str
) -> None:
    _, instance = installed(cluster)
    action, clock, dispatcher = due_now(instance)
    app.word = word
    work(dispatcher)
    clock.now += 10 * MINUTE
    work(dispatcher)
    run = action.runs.get()
    assert (run.sent_at, run.finished_at) == (None, None)
    app.word = ""
    work(dispatcher)
    run.refresh_from_db()
    assert (run.result, app.runs) == ("succeeded", [run.pk])


def test_a_gate_that_is_away_costs_nothing_but_time(cluster: MemoryCluster, app: Listener, settings: Any) -> None:
    _, instance = installed(cluster)
    action, clock, dispatcher = due_now(instance)
    there, settings.ACTIONS_ADDR = settings.ACTIONS_ADDR, "unix:/nonexistent/gate-actions.sock"
    work(dispatcher)
    clock.now += timedelta(days=1)
    work(dispatcher)
    assert action.runs.get().result == ""
    settings.ACTIONS_ADDR = there
    work(dispatcher)
    assert [run.result for run in action.runs.all()] == ["succeeded"]
    assert len(app.reached) == 1


def test_an_app_that_never_comes_is_given_up(cluster: MemoryCluster, app: Listener) -> None:
    _, instance = installed(cluster)
    action, clock, dispatcher = due_now(instance)
    app.word = "absent"
    work(dispatcher)
    clock.now += actions.PATIENCE + MINUTE
    work(dispatcher)
    assert [(run.result, run.error) for run in action.runs.all()][-1] == ("failed", "The app was not there in time.")


@pytest.mark.parametrize("word", ["unreachable", "silent", "slow", "other"])
def test_what_the_gate_says_of_the_app_ends_the_run(cluster: MemoryCluster, app: Listener, word: str) -> None:
    _, instance = installed(cluster)
    action, _, dispatcher = due_now(instance)
    app.word = word
    work(dispatcher)
    run = action.runs.get()
    assert (run.result, run.http_status, run.error[:2]) == ("failed", None, "Th" if word != "slow" else "It")


@pytest.mark.parametrize("state", [InstanceState.FAILED, InstanceState.STOPPED])
def test_an_app_that_is_down_is_not_asked(cluster: MemoryCluster, app: Listener, state: InstanceState) -> None:
    _, instance = installed(cluster)
    action, _, dispatcher = due_now(instance)
    Instance.objects.filter(pk=instance.pk).update(state=state)
    work(dispatcher)
    run = action.runs.get()
    assert (run.result, run.error, run.duration_ms, app.reached) == ("failed", "The app was not running.", None, [])
    assert not UsageCount.objects.filter(what=UsageEvent.RUN).exists(), "what did not run is no use"


def test_a_sleeping_app_is_woken_first(cluster: MemoryCluster, app: Listener) -> None:
    _, instance = installed(cluster)
    action, clock, _ = due_now(instance)
    Instance.objects.filter(pk=instance.pk).update(state=InstanceState.ASLEEP)
    woken: list[str] = []
    work(Dispatcher(woken.append, clock))
    assert (woken, action.runs.get().result) == ([instance.pk], "succeeded")


def test_a_sleeping_app_is_brought_up_by_its_schedule_and_does_it_then(cluster: MemoryCluster, app: Listener) -> None:
    _, instance = installed(cluster)
    action, clock, _ = due_now(instance)
    Instance.objects.filter(pk=instance.pk).update(state=InstanceState.ASLEEP, wanted=Wanted.ASLEEP)
    dispatcher, app.word = Dispatcher(waking.wake, clock), "absent"
    work(dispatcher)
    assert Instance.objects.get(pk=instance.pk).state == InstanceState.WAKING
    settle()
    assert Instance.objects.get(pk=instance.pk).state == InstanceState.RUNNING
    app.word = ""
    work(dispatcher)
    assert [run.result for run in action.runs.all()] == ["succeeded"]


def test_a_sleeping_app_that_finds_no_room_says_so(cluster: MemoryCluster, app: Listener) -> None:
    _, instance = installed(cluster)
    action, clock, _ = due_now(instance)
    Instance.objects.filter(pk=instance.pk).update(state=InstanceState.ASLEEP)

    def full(_: str) -> None:
        raise Refused("quota_exceeded", "Your cloud is full.")

    work(Dispatcher(full, clock))
    run = action.runs.get()
    assert (run.result, run.error, app.reached) == ("failed", "Your cloud is full.", [])


@pytest.mark.parametrize("state", [CloudState.ASLEEP, CloudState.SUSPENDED, CloudState.CLOSING])
def test_a_paused_cloud_does_nothing_and_makes_nothing_up(
    cluster: MemoryCluster, app: Listener, state: CloudState
) -> None:
    _, instance = installed(cluster)
    action, clock, dispatcher = due_now(instance)
    Cloud.objects.filter(pk=instance.cloud_id).update(state=state, state_reason="It is used up.")
    first = clock.now
    for minutes in (60, 65, 70):
        clock.now = first + timedelta(minutes=minutes)
        work(dispatcher)
        assert app.reached == []
        assert actions.due(clock.now, 10) == [], "it is not looked at again until its next time"
    left_out = "It was not done: the cloud or the app was paused. It is used up."
    said = [] if state == CloudState.CLOSING else [("failed", left_out)]
    assert [(run.result, run.error) for run in action.runs.all()] == said, "why, and that once"
    Cloud.objects.filter(pk=instance.cloud_id).update(state=CloudState.ACTIVE)
    clock.now = first + timedelta(hours=1, minutes=15)
    work(dispatcher)
    assert [run.due_at for run in action.runs.filter(sent_at__isnull=False)] == [clock.now]
    assert action.runs.count() == len(said) + 1


def test_one_cloud_takes_not_all_the_places(cluster: MemoryCluster, app: Listener) -> None:
    first, second = (
        ", ".join(f"{{id: {a}{n}, name: {a}{n}, trigger: schedule, default_interval: 1 day}}" for n in range(5))
        for a in "xy"
    )
    more = f"  - name: more\n    src: site\n    engine: python3.9\n    actions: [{second}]\n"
    _, _big = installed(cluster, f"{PLAIN}    actions: [{first}]\n{more}")
    _, small = installed(cluster)
    release = threading.Event()
    app.pause = release.wait
    Action.objects.update(next_due=timezone.now() - MINUTE)
    Action.objects.filter(instance=small).update(next_due=timezone.now() - timedelta(seconds=1))
    dispatcher = Dispatcher(nobody)
    dispatcher.look()
    until(lambda: len(app.reached) == AT_ONCE_OF_ONE_CLOUD + 1, 60, "all that may are at work", pause_s=0.01)
    assert [one.host for one in app.reached].count(small.host) == 1
    release.set()
    until(lambda: dispatcher.is_idle, 60, "all is over")
    assert ActionRun.objects.filter(result=RunResult.SUCCEEDED).count() == 11
