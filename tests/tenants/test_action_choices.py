"""Scheduled actions as their owner chooses: on and off, other times, now; and what updates and removal make of that."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from tenants.errors import Conflict, Refused
from tenants.models import Action, Cloud, Instance, RunTrigger, UsageCount, UsageEvent
from tenants.reconcile import actions, builds
from tenants.reconcile.dispatch import Dispatcher
from tenants.services import publish
from tenants.services.actions import change_action, run_now, scheduled
from tenants.services.instances import install_app, remove_instance, restart_instance
from tenants.services.updates import update_instance
from tenants.states import CloudState, InstanceState
from tests.tenants.actions import Listener, action_of, due_now, installed, listening, nobody, work
from tests.worlds import SPACEFILE as PLAIN
from tests.worlds import MemoryCluster, active_person, released, settle, uploaded

pytestmark = pytest.mark.usefixtures("races")
MINUTE = timedelta(minutes=1)


@pytest.fixture
def app() -> Iterator[Listener]:
    with listening() as listener:
        yield listener


def test_a_switched_off_action_is_not_done_and_counts_anew_when_it_is_on(cluster: MemoryCluster, app: Listener) -> None:
    owner, instance = installed(cluster)
    action, clock, dispatcher = due_now(instance)
    change_action(owner, action, is_on=False)
    clock.now += timedelta(days=2)
    work(dispatcher)
    assert (action_of(instance).next_due, app.reached) == (None, [])
    change_action(owner, action, is_on=True)
    due = action_of(instance).next_due
    assert due is not None and timezone.now() < due <= timezone.now() + MINUTE


def test_another_interval_counts_from_its_choice(cluster: MemoryCluster) -> None:
    owner, instance = installed(cluster)
    change_action(owner, action_of(instance), interval=" 0 9 *  * mon-fri")
    action = action_of(instance)
    assert (action.interval, action.chosen_interval) == ("0 9 * * mon-fri",) * 2
    assert action.next_due is not None and (action.next_due.hour, action.next_due.weekday() < 5) == (9, True)
    change_action(owner, action, own_interval=True)
    assert (action_of(instance).interval, action_of(instance).chosen_interval) == ("", "5 minutes")


@pytest.mark.parametrize("text", ["", "30 seconds", "0 minutes", "* * * * * *", "0 0 30 2 *", "x" * 500, "1 days"])
def test_an_interval_that_is_none_is_refused_by_name(cluster: MemoryCluster, text: str) -> None:
    owner, instance = installed(cluster)
    before = action_of(instance).next_due
    with pytest.raises(Refused) as refusal:
        change_action(owner, action_of(instance), interval=text, is_on=False)
    assert (refusal.value.field, refusal.value.code) == ("interval", "invalid_interval")
    assert (action_of(instance).next_due, action_of(instance).is_on) == (before, True)


def test_an_update_keeps_what_the_owner_chose_and_follows_the_app_in_the_rest(cluster: MemoryCluster) -> None:
    declared = "    actions: [{}]\n"
    one = "{{id: {0}, name: {0}, trigger: schedule, default_interval: {1}}}"
    older = declared.format(", ".join(one.format(key, "1 day") for key in ("kept", "moved", "gone")))
    release = released(cluster, PLAIN + older)
    newer = declared.format(", ".join(one.format(key, "2 hours") for key in ("kept", "moved", "fresh")))
    owner = active_person(cluster)
    instance, _ = install_app(owner, app_slug=release.app.slug)
    settle()
    change_action(owner, action_of(instance, "kept"), interval="0 4 * * *", is_on=False)
    revision = uploaded(release.app.developer, release.app, PLAIN + newer)
    builds.reconcile(revision.pk)
    publish.publish_release(release.app.developer, release.app, revision_id=revision.pk)
    update_instance(owner, Instance.objects.get(pk=instance.pk), consent=("action:fresh",))
    assert {one.key for one in Action.objects.filter(instance=instance)} == {"kept", "moved", "gone"}, (
        "not before it runs"
    )
    settle()
    found = {one.key: one for one in Action.objects.filter(instance=instance)}
    assert set(found) == {"kept", "moved", "fresh"}
    assert (found["kept"].interval, found["kept"].is_on, found["kept"].default_interval) == (
        "0 4 * * *",
        False,
        "2 hours",
    )
    assert (found["moved"].chosen_interval, found["fresh"].is_on) == ("2 hours", True)
    assert found["moved"].next_due is not None and found["moved"].next_due <= timezone.now() + timedelta(hours=1)


def test_an_action_that_stays_as_it_was_keeps_its_beat_over_a_restart(cluster: MemoryCluster) -> None:
    owner, instance = installed(cluster)
    Action.objects.update(counted_from=datetime(2026, 1, 1, tzinfo=UTC))
    restart_instance(owner, instance)
    settle()
    assert action_of(instance).counted_from == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_removed_app_has_no_actions_and_no_runs(cluster: MemoryCluster, app: Listener) -> None:
    owner, instance = installed(cluster)
    action, clock, dispatcher = due_now(instance)
    remove_instance(owner, instance)
    work(dispatcher)
    assert (app.reached, action.runs.count()) == ([], 0)
    settle()
    assert not Action.objects.exists()


def test_run_now_is_once_and_leaves_the_schedule_alone(cluster: MemoryCluster, app: Listener) -> None:
    owner, instance = installed(cluster)
    change_action(owner, action_of(instance), is_on=False)
    run = run_now(owner, action_of(instance))
    with pytest.raises(Conflict, match="just now"):
        run_now(owner, action_of(instance))
    work(Dispatcher(nobody))
    run.refresh_from_db()
    assert (run.result, run.trigger, app.runs) == ("succeeded", RunTrigger.PERSON, [run.pk])
    assert action_of(instance).next_due is None


def test_run_now_of_what_cannot_run_is_refused(cluster: MemoryCluster) -> None:
    owner, instance = installed(cluster)
    Instance.objects.filter(pk=instance.pk).update(state=InstanceState.FAILED)
    with pytest.raises(Conflict, match="not running"):
        run_now(owner, action_of(instance))
    Cloud.objects.filter(pk=instance.cloud_id).update(state=CloudState.SUSPENDED)
    with pytest.raises(Conflict, match="paused"):
        run_now(owner, action_of(instance))


def test_the_history_is_bounded_and_its_count_is_not(cluster: MemoryCluster, app: Listener) -> None:
    _, instance = installed(cluster)
    action, clock, dispatcher = due_now(instance)
    for _ in range(actions.KEPT_RUNS + 3):
        work(dispatcher)
        clock.now += 5 * MINUTE
    newest = clock.now - 5 * MINUTE
    kept = [run.due_at for run in action.runs.all()]
    assert (len(kept), kept[0], kept[-1]) == (actions.KEPT_RUNS, newest, newest - 5 * (actions.KEPT_RUNS - 1) * MINUTE)
    [counted] = UsageCount.objects.filter(subject=instance.pk, what=UsageEvent.RUN)
    assert counted.count == actions.KEPT_RUNS + 3
    [shown] = scheduled(instance)
    assert shown.last is not None and shown.last.due_at == newest
