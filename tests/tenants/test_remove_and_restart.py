"""Removing and restarting, also when workers die; and what the sweep finds after everything was lost."""

from datetime import timedelta

import pytest
from django.utils import timezone
from kombu.exceptions import OperationalError

from k8s.errors import Permanent, Temporary
from tenants import tasks
from tenants.errors import Conflict
from tenants.models import Event, GateChange, Instance, InstanceMicro, Operation
from tenants.reconcile import instances as reconciler
from tenants.reconcile import orphans
from tenants.services.instances import install_app, remove_instance, restart_instance
from tenants.services.quota import use_of
from tenants.states import CloudState, ForbiddenTransition, InstanceState, RevisionState, WorkState, allowed, move
from tests.worlds import MemoryCluster, active_person, cloud_of, released, settle

pytestmark = pytest.mark.django_db


class Killed(BaseException):
    """As if the worker had been killed at this point."""


def running(cluster: MemoryCluster) -> Instance:
    instance, _ = install_app(active_person(cluster), app_slug=released(cluster).app.slug)
    settle()
    return Instance.objects.select_related("cloud__owner").get(pk=instance.pk)


def test_a_removal_closes_the_address_before_the_cluster_hears_of_it(cluster: MemoryCluster) -> None:
    instance = running(cluster)
    changes = GateChange.objects.filter(key=instance.pk).count()
    operation = remove_instance(instance.cloud.owner, instance)
    assert "delete_instance" not in cluster.calls
    assert InstanceMicro.objects.get(instance=instance).upstream == ""
    assert GateChange.objects.filter(key=instance.pk).count() == changes + 1
    settle()
    instance.refresh_from_db()
    operation.refresh_from_db()
    assert (instance.state, operation.state) == (InstanceState.REMOVED, WorkState.SUCCEEDED)
    assert instance.removed_at is not None
    assert use_of(cloud_of(instance.cloud.owner)).instances == 0
    calls = list(cluster.calls)
    for _ in range(10):
        reconciler.reconcile(instance.pk)
    assert cluster.calls == calls


@pytest.mark.parametrize("moment", ["break_before", "break_after"])
@pytest.mark.parametrize("error", [Killed(), Temporary("busy")])
def test_a_removal_ends_whatever_happens_around_its_call(
    cluster: MemoryCluster, moment: str, error: BaseException
) -> None:
    instance = running(cluster)
    getattr(cluster, moment)["delete_instance"] = [error]
    operation = remove_instance(instance.cloud.owner, instance)
    try:
        reconciler.reconcile(instance.pk)
    except Killed:
        Operation.objects.filter(pk=operation.pk).update(attempts=100)
    Operation.objects.filter(pk=operation.pk).update(not_before=None)
    settle()
    instance.refresh_from_db()
    assert instance.state == InstanceState.REMOVED
    assert cluster.specs == {}


def test_what_lingers_is_removing_until_it_is_gone(cluster: MemoryCluster) -> None:
    instance = running(cluster)
    cluster.lingers = True
    operation = remove_instance(instance.cloud.owner, instance)
    settle()
    instance.refresh_from_db()
    assert instance.state == InstanceState.REMOVING
    assert {step.name: step.state for step in operation.steps.all()}["stop"] == "running"
    cluster.lingers = False
    settle()
    instance.refresh_from_db()
    assert instance.state == InstanceState.REMOVED


def test_a_refused_removal_is_shown_and_may_be_asked_for_again(cluster: MemoryCluster) -> None:
    instance = running(cluster)
    cluster.break_before["delete_instance"] = [Permanent("not now")]
    first = remove_instance(instance.cloud.owner, instance)
    settle()
    first.refresh_from_db()
    assert (first.state, first.error) == (WorkState.FAILED, "not now")
    second = remove_instance(instance.cloud.owner, instance)
    settle()
    second.refresh_from_db()
    assert second.state == WorkState.SUCCEEDED
    assert remove_instance(instance.cloud.owner, instance).pk == second.pk
    with pytest.raises(Conflict):
        remove_instance(instance.cloud.owner, instance, delete_data=True)


def test_removing_while_it_installs_cancels_the_install(cluster: MemoryCluster) -> None:
    user = active_person(cluster)
    instance, install = install_app(user, app_slug=released(cluster).app.slug)
    remove_instance(user, instance)
    settle()
    instance.refresh_from_db()
    install.refresh_from_db()
    assert (instance.state, install.state) == (InstanceState.REMOVED, WorkState.CANCELLED)
    assert "apply_instance" not in cluster.calls


def test_a_restart_closes_the_address_first_and_opens_it_again(cluster: MemoryCluster) -> None:
    instance = running(cluster)
    restart_instance(instance.cloud.owner, instance)
    assert InstanceMicro.objects.get(instance=instance).upstream == ""
    with pytest.raises(Conflict):
        restart_instance(instance.cloud.owner, instance)
    settle()
    instance.refresh_from_db()
    assert (instance.state, instance.restart, instance.generation) == (InstanceState.RUNNING, 1, 2)
    assert cluster.specs[instance.pk].restart == 1
    assert InstanceMicro.objects.get(instance=instance).upstream != ""


def test_what_was_seen_of_an_older_wish_is_not_written(cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    instance = running(cluster)
    observe = cluster.observe

    def restarted_meanwhile(cloud_id: str, instance_id: str) -> object:
        seen = observe(cloud_id, instance_id)
        monkeypatch.setattr(cluster, "observe", observe)
        restart_instance(instance.cloud.owner, instance)
        return seen

    monkeypatch.setattr(cluster, "observe", restarted_meanwhile)
    reconciler.reconcile(instance.pk)
    assert InstanceMicro.objects.get(instance=instance).upstream == ""


def test_a_broker_that_is_down_refuses_nothing_and_the_sweep_finds_the_work(
    cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: object
) -> None:
    user, slug = active_person(cluster), released(cluster).app.slug

    def down(*_args: object, **_options: object) -> None:
        raise OperationalError("nobody listens")

    monkeypatch.setattr(tasks.reconcile_instance, "apply_async", down)
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        instance, _ = install_app(user, app_slug=slug)
    sent: list[tuple[str, ...]] = []
    monkeypatch.setattr(tasks.reconcile_instance, "apply_async", lambda args, **_: sent.append(args))
    tasks.sweep()
    assert (instance.pk,) in sent


def test_the_sweep_leaves_what_is_settled_or_not_due(cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    instance = running(cluster)
    restarting = restart_instance(instance.cloud.owner, instance)
    Operation.objects.filter(pk=restarting.pk).update(not_before=timezone.now() + timedelta(minutes=1))
    sent: list[object] = []
    for task in (tasks.reconcile_cloud, tasks.reconcile_instance, tasks.reconcile_build):
        monkeypatch.setattr(task, "apply_async", lambda args, **_: sent.append(args))
    tasks.sweep()
    assert sent == []


def test_orphans_are_reported_at_once_and_cleared_after_a_while_without_their_volume(
    cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = running(cluster)
    spec = cluster.specs[instance.pk]
    cluster.specs["insorphan"] = type(spec)(**{**spec.__dict__, "instance_id": "insorphan"})
    cluster.specs["insforeign"] = type(spec)(
        **{**spec.__dict__, "instance_id": "insforeign", "cloud_id": "cldrestored"}
    )
    cluster.volumes.add("insorphan")
    orphans.look()
    orphans.look()
    assert Event.objects.filter(kind="orphan").count() == 2
    assert "insorphan" in cluster.specs
    monkeypatch.setattr(orphans, "GRACE", timedelta(0))
    orphans.look()
    assert set(cluster.specs) == {instance.pk, "insforeign"}
    assert "insorphan" in cluster.volumes


@pytest.mark.parametrize(
    "before", [*CloudState, *InstanceState, *WorkState, *RevisionState], ids=lambda s: f"{type(s).__name__}-{s}"
)
def test_rows_move_along_the_table_and_nowhere_else(cluster: MemoryCluster, before: object) -> None:
    instance = running(cluster)
    rows = {
        CloudState: instance.cloud,
        InstanceState: instance,
        WorkState: Operation.objects.filter(instance=instance).get(),
        RevisionState: instance.revision,
    }
    row = rows[type(before)]  # type: ignore[index]
    for to in type(before):  # type: ignore[attr-defined]
        type(row).objects.filter(pk=row.pk).update(state=before)
        row.refresh_from_db()
        if to in allowed(before):  # type: ignore[arg-type]
            events = Event.objects.count()
            assert move(row, to)
            assert Event.objects.count() == events + 1
            row.state = before  # type: ignore[assignment]
            assert not move(row, to), "somebody else moved it first"
        else:
            with pytest.raises(ForbiddenTransition):
                move(row, to)
