"""Falling asleep and waking up, by rows and cluster; the gates' side of it is in tests/gate/test_sleeping.py."""

import contextlib
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from k8s.errors import Permanent, Temporary
from k8s.specs import MicroPhase
from tenants.errors import Conflict, QuotaExceeded
from tenants.models import Drain, DrainAnswer, Event, Gate, Instance, Operation, Override, Plan, User, Wanted
from tenants.reconcile import instances as reconciler
from tenants.services import sleeping, waking
from tenants.services.closing import close_account, reopen_account
from tenants.services.clouds import set_quota
from tenants.services.instances import change_instance, install_app, remove_instance, restart_instance
from tenants.services.quota import use_of
from tenants.states import InstanceState, WorkState
from tests.worlds import MemoryCluster, active_person, cloud_of, released, settle

pytestmark = pytest.mark.django_db

MIXED = """
v: 0
micros:
  - {name: main, src: ., engine: python3.9, primary: true}
  - {name: pages, src: site, engine: static, serve: ., path: web}
"""
FILES = "v: 0\nmicros:\n  - {name: pages, src: site, engine: static, serve: ., primary: true}\n"
LONG_AGO = timedelta(days=1)


class Killed(BaseException):
    """As if the worker had been killed at this point."""


@pytest.fixture(autouse=True)
def gates() -> None:
    for name in ("one", "two"):
        Gate.objects.create(id=name, cell_id=settings.DEFAULT_CELL, seen_at=timezone.now())


def running(cluster: MemoryCluster, owner: User | None = None, spacefile: str = "") -> Instance:
    release = released(cluster, spacefile) if spacefile else released(cluster)
    instance, _ = install_app(owner or active_person(cluster), app_slug=release.app.slug)
    settle()
    return again(instance)


def again(instance: Instance) -> Instance:
    return Instance.objects.select_related("cloud__owner", "cloud__plan").get(pk=instance.pk)


def answer(instance: Instance, *gates: str, open: int = 0, used: timedelta | None = None) -> None:
    """What these gates saw once they had taken it out of their maps."""
    used_at = timezone.now() - used if used else None
    for gate in gates or ("one", "two"):
        DrainAnswer.objects.create(
            drain=Drain.objects.get(subject=instance.pk), gate_id=gate, open=open, used_at=used_at
        )


def asleep(cluster: MemoryCluster, owner: User | None = None, spacefile: str = "") -> Instance:
    instance = running(cluster, owner, spacefile)
    assert sleeping.fall_asleep(instance.pk)
    answer(instance)
    assert sleeping.finish_drains() == 0
    settle()
    return again(instance)


def idle(instance: Instance, since: timedelta = LONG_AGO) -> None:
    then = timezone.now() - since
    Instance.objects.filter(pk=instance.pk).update(last_used_at=then, awake_since=then, created_at=then)


def test_it_sleeps_once_every_gate_has_let_go_and_takes_no_compute(cluster: MemoryCluster) -> None:
    instance = running(cluster)
    assert sleeping.fall_asleep(instance.pk)
    assert not sleeping.fall_asleep(instance.pk)  # it is on its way
    answer(instance, "one")
    assert sleeping.finish_drains() == 1
    assert again(instance).state == InstanceState.RUNNING
    answer(instance, "two")
    assert sleeping.finish_drains() == 0
    row = again(instance)
    assert (row.state, row.wanted, row.micros.get().upstream) == (InstanceState.ASLEEP, Wanted.ASLEEP, "")
    settle()
    row = again(instance)
    assert (cluster.specs[row.pk].replicas, row.observed_generation) == (0, row.generation)
    use = use_of(row.cloud)
    assert (use.cpu_millis, use.memory_mib, use.instances, use.storage_mib) == (0, 0, 1, row.storage_mib)


def test_a_sleeping_fleet_is_not_asked_about(cluster: MemoryCluster) -> None:
    instance = asleep(cluster)
    calls = list(cluster.calls)
    for _ in range(5):
        reconciler.reconcile(instance.pk)
    settle()
    assert cluster.calls == calls


def test_a_gate_that_does_not_answer_keeps_it_awake(cluster: MemoryCluster) -> None:
    instance = running(cluster)
    sleeping.fall_asleep(instance.pk)
    answer(instance, "one")
    Drain.objects.update(until=timezone.now() - timedelta(seconds=1))
    assert sleeping.finish_drains() == 0
    assert not Drain.objects.exists()
    assert again(instance).state == InstanceState.RUNNING


def test_a_gate_that_is_gone_for_good_is_not_waited_for_but_one_there_must_be(cluster: MemoryCluster) -> None:
    instance = running(cluster)
    Gate.objects.filter(pk="two").update(seen_at=timezone.now() - timedelta(hours=1))
    sleeping.fall_asleep(instance.pk)
    answer(instance, "one")
    Gate.objects.filter(pk="one").update(seen_at=timezone.now() - timedelta(hours=1))
    assert sleeping.finish_drains() == 1
    Gate.objects.filter(pk="one").update(seen_at=timezone.now())
    sleeping.finish_drains()
    assert again(instance).state == InstanceState.ASLEEP


def test_gates_of_other_cells_have_no_say(cluster: MemoryCluster) -> None:
    instance = running(cluster)
    Gate.objects.create(id="far", cell_id="elsewhere", seen_at=timezone.now())
    sleeping.fall_asleep(instance.pk)
    answer(instance)
    sleeping.finish_drains()
    assert again(instance).state == InstanceState.ASLEEP


@pytest.mark.parametrize("seen", [{"open": 1}, {"used": timedelta(seconds=1)}])
def test_whatever_is_open_or_came_lately_keeps_an_idle_one_awake(cluster: MemoryCluster, seen: dict[str, int]) -> None:
    instance = running(cluster)
    idle(instance)
    sleeping.fall_asleep(instance.pk, idle_since=timezone.now() - timedelta(minutes=10))
    answer(instance, **seen)  # type: ignore[arg-type]
    assert sleeping.finish_drains() == 0
    row = again(instance)
    assert row.state == InstanceState.RUNNING
    assert row.last_used_at and timezone.now() - row.last_used_at < timedelta(minutes=1)


def test_whoever_comes_meanwhile_keeps_it_awake(cluster: MemoryCluster) -> None:
    instance = running(cluster)
    sleeping.fall_asleep(instance.pk)
    answer(instance)
    assert waking.wake(instance.pk) == InstanceState.RUNNING
    assert sleeping.finish_drains() == 0
    row = again(instance)
    assert (row.state, row.generation) == (InstanceState.RUNNING, instance.generation)


def test_waking_starts_it_again_with_all_it_had(cluster: MemoryCluster) -> None:
    instance = asleep(cluster)
    assert waking.wake(instance.pk) == InstanceState.WAKING
    assert waking.wake(instance.pk) == InstanceState.WAKING
    settle()
    row = again(instance)
    assert (row.state, cluster.specs[row.pk].replicas) == (InstanceState.RUNNING, 1)
    assert row.micros.get().upstream
    assert waking.wake(instance.pk) == InstanceState.RUNNING
    assert Event.objects.filter(subject=row.pk, after=InstanceState.WAKING).count() == 1


def test_fifty_at_once_wake_it_once(races: None, cluster: MemoryCluster) -> None:
    Gate.objects.all().delete()
    Gate.objects.create(id="one", cell_id=settings.DEFAULT_CELL, seen_at=timezone.now())
    instance = running(cluster)
    sleeping.fall_asleep(instance.pk)
    answer(instance, "one")
    sleeping.finish_drains()

    def wake(_: int) -> str:
        try:
            return waking.wake(instance.pk)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        states = set(pool.map(wake, range(50)))
    assert states == {InstanceState.WAKING}
    assert Event.objects.filter(subject=instance.pk, after=InstanceState.WAKING).count() == 1
    assert again(instance).generation == instance.generation + 2


def test_sleep_and_use_at_once_end_in_one_or_the_other(races: None, cluster: MemoryCluster) -> None:
    """Whoever was told that it runs finds it running: nothing is stopped after that without the gates' word."""
    Gate.objects.all().delete()
    Gate.objects.create(id="one", cell_id=settings.DEFAULT_CELL, seen_at=timezone.now())
    instance = running(cluster)

    def do(act: int) -> InstanceState | None:
        try:
            if act:
                return waking.wake(instance.pk)
            sleeping.finish_drains()
            return None
        finally:
            connection.close()

    for _ in range(15):
        settle()
        sleeping.fall_asleep(instance.pk)
        answer(instance, "one")
        with ThreadPoolExecutor(3) as pool:
            told = {state for state in pool.map(do, [0, 1, 0]) if state}
        assert told <= {InstanceState.RUNNING, InstanceState.WAKING}
        assert again(instance).state in told
        assert not Drain.objects.exists()


@pytest.mark.parametrize("moment", ["break_before", "break_after"])
@pytest.mark.parametrize("error", [Killed(), Temporary("busy")])
def test_a_worker_killed_around_either_scaling_leaves_what_would_have_been(
    cluster: MemoryCluster, moment: str, error: BaseException
) -> None:
    instance = running(cluster)
    sleeping.fall_asleep(instance.pk)
    answer(instance)
    sleeping.finish_drains()
    for replicas, state in ((0, InstanceState.ASLEEP), (1, InstanceState.RUNNING)):
        getattr(cluster, moment)["apply_instance"] = [error]
        with contextlib.suppress(Killed):
            reconciler.reconcile(instance.pk)
        settle()
        row = again(instance)
        assert (row.state, cluster.specs[row.pk].replicas) == (state, replicas)
        assert row.observed_generation == row.generation
        waking.wake(instance.pk)
    assert Event.objects.filter(subject=instance.pk, after=InstanceState.ASLEEP).count() == 1


def test_a_cluster_that_refuses_to_stop_it_is_asked_again(cluster: MemoryCluster) -> None:
    instance = running(cluster)
    sleeping.fall_asleep(instance.pk)
    answer(instance)
    sleeping.finish_drains()
    cluster.break_before["apply_instance"] = [Permanent("not today")]
    settle()
    row = again(instance)
    assert (row.state, cluster.specs[row.pk].replicas) == (InstanceState.ASLEEP, 0)


def test_a_wake_that_fails_says_why(cluster: MemoryCluster) -> None:
    instance = asleep(cluster)
    cluster.phase = MicroPhase.FAILED
    waking.wake(instance.pk)
    settle()
    row = again(instance)
    assert (row.state, row.state_reason) == (InstanceState.FAILED, "It does not listen on its port.")
    assert "ValueError" in row.log_tail


def test_a_wake_that_the_cluster_does_not_take_ends_in_a_reason_too(cluster: MemoryCluster) -> None:
    instance = asleep(cluster)
    waking.wake(instance.pk)
    Instance.objects.filter(pk=instance.pk).update(awake_since=timezone.now() - timedelta(minutes=10))
    cluster.break_before["apply_instance"] = [Temporary("the cluster is away")]
    reconciler.reconcile(instance.pk)
    row = again(instance)
    assert row.state == InstanceState.FAILED and "The cluster is away" in row.state_reason


def test_only_who_was_idle_for_long_enough_falls_asleep(cluster: MemoryCluster) -> None:
    owner = active_person(cluster)
    default, chosen, never, used, files, fresh = (
        running(cluster, owner, spacefile) for spacefile in ("", "", "", "", FILES, "")
    )
    for row in (default, chosen, never, used, files):
        idle(row, timedelta(seconds=settings.SLEEP_AFTER_S + 60))
    idle(chosen, timedelta(seconds=90))
    Instance.objects.filter(pk=chosen.pk).update(sleep_after_s=60)
    Instance.objects.filter(pk=never.pk).update(sleep_after_s=0)
    Instance.objects.filter(pk=used.pk).update(last_used_at=timezone.now())
    assert sleeping.look_for_sleepers() == 2
    assert set(Drain.objects.values_list("subject", flat=True)) == {default.pk, chosen.pk}
    assert sleeping.look_for_sleepers() == 0
    assert again(fresh).state == InstanceState.RUNNING


def test_an_operator_may_overrule_what_the_plan_says_and_the_owner_has_the_last_word(cluster: MemoryCluster) -> None:
    owner = active_person(cluster)
    theirs, own = running(cluster, owner), running(cluster, owner)
    Plan.objects.update(sleep_after_s=None)
    for row in (theirs, own):
        idle(row, timedelta(minutes=10))
    assert sleeping.look_for_sleepers() == 0  # by this plan never
    Override.objects.create(cloud=owner.cloud, sleep_after_s=60, reason="test", ends_at=timezone.now())
    assert sleeping.look_for_sleepers() == 0  # it is over
    Override.objects.create(cloud=owner.cloud, sleep_after_s=300, reason="test")
    sleeping.choose_sleep_after(own, 3600)
    assert [sleeping.sleep_after_s(again(row)) for row in (theirs, own)] == [300, 3600]
    assert sleeping.look_for_sleepers() == 1
    assert Drain.objects.get().subject == theirs.pk


def test_one_that_was_just_woken_is_not_idle_though_nobody_came_yet(cluster: MemoryCluster) -> None:
    instance = asleep(cluster)
    idle(instance)
    waking.wake(instance.pk)
    settle()
    assert sleeping.look_for_sleepers() == 0


def test_files_alone_never_sleep(cluster: MemoryCluster) -> None:
    instance = running(cluster, spacefile=FILES)
    assert not sleeping.fall_asleep(instance.pk)
    with pytest.raises(Conflict):
        sleeping.sleep_now(instance.cloud.owner, instance)


def test_its_owner_puts_it_to_sleep_and_wakes_it(cluster: MemoryCluster) -> None:
    instance = running(cluster, spacefile=MIXED)
    owner = instance.cloud.owner
    operation = sleeping.sleep_now(owner, instance)
    reconciler.reconcile(instance.pk)  # an event of the cluster meanwhile ends nothing
    operation.refresh_from_db()
    assert operation.state == WorkState.RUNNING
    answer(instance, used=timedelta(seconds=1))  # used a moment ago, and nothing open
    sleeping.finish_drains()
    settle()
    operation.refresh_from_db()
    assert (operation.state, again(instance).state) == (WorkState.SUCCEEDED, InstanceState.ASLEEP)
    assert sleeping.sleep_now(owner, instance).state == WorkState.SUCCEEDED
    woken = waking.wake_now(owner, instance)
    settle()
    woken.refresh_from_db()
    assert (woken.state, again(instance).state) == (WorkState.SUCCEEDED, InstanceState.RUNNING)
    assert waking.wake_now(owner, instance).state == WorkState.SUCCEEDED


def test_what_stays_open_keeps_it_awake_and_its_owner_reads_why(cluster: MemoryCluster) -> None:
    instance = running(cluster)
    operation = sleeping.sleep_now(instance.cloud.owner, instance)
    answer(instance, open=2)
    assert sleeping.finish_drains() == 1
    Drain.objects.update(until=timezone.now() - timedelta(seconds=1))
    sleeping.finish_drains()
    operation.refresh_from_db()
    assert operation.state == WorkState.FAILED and "4 requests or streams are open" in operation.error
    assert again(instance).state == InstanceState.RUNNING


def full(cluster: MemoryCluster) -> tuple[User, Instance, Instance]:
    """(owner, one asleep, one awake), in a cloud with compute for one."""
    owner = active_person(cluster)
    sleeper = asleep(cluster, owner)
    other = running(cluster, owner)
    compute = {"cpu_millis": other.cpu_millis, "memory_mib": other.memory_mib}
    set_quota(None, owner.cloud, **compute, storage_mib=None, instances=None)
    return owner, sleeper, other


def test_in_a_full_cloud_the_longest_idle_makes_room(cluster: MemoryCluster) -> None:
    owner, sleeper, other = full(cluster)
    idle(other)
    assert waking.wake(sleeper.pk) == InstanceState.ASLEEP
    assert waking.wake(sleeper.pk) == InstanceState.ASLEEP
    assert Drain.objects.get().subject == other.pk
    answer(other)
    assert waking.wake(sleeper.pk) == InstanceState.WAKING
    settle()
    assert (again(other).state, again(sleeper).state) == (InstanceState.ASLEEP, InstanceState.RUNNING)
    assert use_of(cloud_of(owner)).cpu_millis == sleeper.cpu_millis


@pytest.mark.parametrize("why", ["never sleeps", "in use"])
def test_who_may_not_sleep_or_is_in_use_makes_no_room(cluster: MemoryCluster, why: str) -> None:
    owner, sleeper, other = full(cluster)
    idle(other)
    if why == "never sleeps":
        Instance.objects.filter(pk=other.pk).update(sleep_after_s=0)
    else:
        Instance.objects.filter(pk=other.pk).update(last_used_at=timezone.now())
    with pytest.raises(QuotaExceeded):
        waking.wake(sleeper.pk)
    with pytest.raises(QuotaExceeded):
        restart_instance(owner, sleeper)
    assert not Drain.objects.exists() and again(sleeper).state == InstanceState.ASLEEP


def test_an_owner_who_wakes_in_a_full_cloud_sees_it_wait_for_room(cluster: MemoryCluster) -> None:
    owner, sleeper, other = full(cluster)
    idle(other)
    operation = waking.wake_now(owner, sleeper)
    settle()
    assert operation.steps.get(name="room").state == WorkState.RUNNING
    answer(other)
    waking.go_on_waking()
    settle()
    operation = Operation.objects.get(pk=operation.pk)
    assert (operation.state, again(sleeper).state) == (WorkState.SUCCEEDED, InstanceState.RUNNING)


def test_settings_restart_and_removal_of_a_sleeping_one(cluster: MemoryCluster) -> None:
    instance = asleep(cluster)
    owner = instance.cloud.owner
    change_instance(owner, instance, alias="other")
    assert again(instance).state == InstanceState.ASLEEP
    restart_instance(owner, instance)
    settle()
    assert again(instance).state == InstanceState.RUNNING
    sleeping.fall_asleep(instance.pk)
    remove_instance(owner, instance)
    sleeping.finish_drains()
    settle()
    assert again(instance).state == InstanceState.REMOVED
    assert not Drain.objects.exists()


def test_what_slept_when_an_account_was_closed_sleeps_when_it_is_kept_after_all(cluster: MemoryCluster) -> None:
    instance = asleep(cluster)
    owner = instance.cloud.owner
    close_account(owner)
    settle()
    assert again(instance).state == InstanceState.STOPPED
    with pytest.raises(Conflict):
        waking.wake_now(owner, instance)
    reopen_account(owner)
    settle()
    row = again(instance)
    assert (row.state, cluster.specs[row.pk].replicas) == (InstanceState.ASLEEP, 0)
    assert waking.wake(row.pk) == InstanceState.WAKING
