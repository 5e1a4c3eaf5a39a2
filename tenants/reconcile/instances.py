"""An instance's row and what runs of it.

Every call to the cluster may be the last thing a killed worker did, or may have been done by it already: all of them are
safe to repeat, and what they led to is read from the cluster again and never remembered.
"""

import logging
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from k8s.errors import ClusterError, NotFound, Temporary
from k8s.specs import InstanceSpec, InstanceStatus, JobTask, MicroPhase
from tenants import feed, logs, steps
from tenants.live import announce
from tenants.models import Instance, Operation, OperationKind, Wanted
from tenants.reconcile import actions, again, cluster, halting, migrations, versions
from tenants.reconcile.advisory import held
from tenants.reconcile.specs import cloud_spec, copy_spec, instance_spec, migration_specs
from tenants.states import HELD, CloudState, InstanceState, move

log = logging.getLogger(__name__)
LOG_TAIL_LIMIT = 8_000
WAKING_LIMIT = timedelta(minutes=2)


def reconcile(instance_id: str, *, altered: bool = False) -> bool:
    """Compare what is wanted of the instance with what is there, and take the next step. Returns without waiting.

    altered: what was applied may not be there any more. False: nobody else comes back to it, so the caller must.
    """
    with held(f"instance:{instance_id}") as mine:
        return mine and _reconcile(instance_id, altered)


def _reconcile(instance_id: str, altered: bool) -> bool:
    instance = Instance.objects.select_related("cloud__plan", "revision", "release").filter(pk=instance_id).first()
    if instance is None or instance.state == InstanceState.REMOVED:
        return True
    operation = _operation(instance)
    logs.also(cloud=instance.cloud_id, operation=operation.pk if operation else None)
    if not steps.is_due(operation):
        return not altered
    try:
        if instance.wanted == Wanted.REMOVED:
            _remove(instance, operation)
        elif instance.cloud.state == CloudState.ACTIVE and instance.wanted == Wanted.ASLEEP:
            halting.rest(instance, operation, altered)
        elif instance.cloud.state == CloudState.ACTIVE:
            _run(instance, operation, altered)
        elif instance.cloud.state in (*HELD, CloudState.CLOSING):
            halting.halt(instance)
    except Temporary as error:
        _later(instance, operation, str(error), error.retry_after_s)
        return operation is not None and not altered
    except ClusterError as error:
        _give_up(instance, operation, str(error))
    except ValueError as error:
        _give_up(instance, operation, str(error), by_cluster=False)
    return True


def _operation(instance: Instance) -> Operation | None:
    """The newest that is not over, if it waits for the cluster: falling asleep begins at the gates, waking with room."""
    operation = steps.current(instance=instance)
    if operation is None or operation.kind not in (OperationKind.SLEEP, OperationKind.WAKE):
        return operation
    wanted = Wanted.ASLEEP if operation.kind == OperationKind.SLEEP else Wanted.RUNNING
    return operation if instance.wanted == wanted else None


def _run(instance: Instance, operation: Operation | None, altered: bool) -> None:
    spec = instance_spec(instance)
    if instance.copy_returns and spec.replicas:
        _give_back(instance, operation, spec)
        return
    if instance.migration and spec.replicas:
        _migrate(instance, operation, spec)
        return
    steps.start(operation, "prepare")  # first, for a cluster that cannot be asked is told at the step that is at work
    status = _observed(instance)
    if altered or status is None or (status.generation, status.restart) != (spec.generation, spec.restart):
        if spec.volume and instance.update_error and not migrations.clear(instance):
            return  # what did not get to its end may still write to the volume
        _apply(instance, spec)
        _accepted(instance)
        status = _observed(instance)
    with transaction.atomic():
        steps.finish(operation, "prepare")
        steps.start(operation, "start")
    if status is None or (status.generation, status.restart) != (spec.generation, spec.restart):
        return  # the cluster has not acted on it yet
    if status.ready:
        with transaction.atomic():
            steps.finish(operation, "start")
            steps.start(operation, "address")
    if _settle(instance, operation, status):
        # Back to the version before, at once: an address must not wait for the sweep.
        _reconcile(instance.pk, False)
    elif status.ready and instance.copy_id:
        _forget_copy(instance, spec)


def _migrate(instance: Instance, operation: Operation | None, spec: InstanceSpec) -> None:
    """The commands of the version that is to take over; it is applied only when they have succeeded."""
    jobs = migration_specs(instance, spec)
    steps.start(operation, "keep" if instance.copy_id else "migrate")
    if spec.volume and not _is_halted(instance, replace(spec, replicas=0)):
        return
    outcome = migrations.advance(instance, operation, jobs)
    if isinstance(outcome, migrations.Failed):
        if _migration_failed(instance, operation, outcome):
            migrations.clear(instance)
            _reconcile(instance.pk, False)
    elif outcome and migrations.note_done(instance):
        steps.finish(operation, "migrate")
        migrations.clear(instance)
        _reconcile(instance.pk, False)


def _give_back(instance: Instance, operation: Operation | None, spec: InstanceSpec) -> None:
    """What the update that failed may have altered becomes again what it was, before the older version starts."""
    if not _is_halted(instance, replace(spec, replicas=0)):
        return
    outcome = migrations.advance(instance, operation, [copy_spec(instance, spec, JobTask.GIVE_BACK)])
    if isinstance(outcome, migrations.Failed):
        _migration_failed(instance, operation, outcome)  # and its job stays, so that nothing repeats it but Retry
    elif outcome and migrations.note_returned(instance):
        migrations.clear(instance)
        _reconcile(instance.pk, False)


def _forget_copy(instance: Instance, spec: InstanceSpec) -> None:
    """The newer version runs, and its data with it."""
    outcome = migrations.advance(instance, None, [copy_spec(instance, spec, JobTask.FORGET)])
    if isinstance(outcome, migrations.Failed):
        log.error("copy_stays cloud=%s instance=%s reason=%s", instance.cloud_id, instance.pk, outcome.reason)
    elif outcome:
        migrations.note_forgotten(instance)
        migrations.clear(instance)


def _is_halted(instance: Instance, spec: InstanceSpec) -> bool:
    """Whether nothing of it runs, at the generation whose environment and volume the commands get."""
    status = _observed(instance)
    if status is None or (status.generation, status.restart) != (spec.generation, spec.restart):
        migrations.note_stopped(instance)
        _apply(instance, spec)
        status = _observed(instance)
    return status is not None and status.generation == spec.generation and halting.is_still(spec, status)


@transaction.atomic
def _migration_failed(instance: Instance, operation: Operation | None, failed: migrations.Failed) -> bool:
    """Returns True when the version before is wanted again."""
    row = _locked(instance.pk)
    if row.generation != instance.generation or row.wanted != instance.wanted:
        return False
    if row.reverts:
        _go_back(row, operation, failed.reason, failed.log_tail)
        return True
    _fail(row, operation, failed.reason, failed.log_tail)
    announce(row.cloud_id, row.pk)
    return False


def _accepted(instance: Instance) -> None:
    """The cluster takes what it refused before: from here on its own words count again."""
    if instance.retry_at is not None and instance.state == InstanceState.FAILED:
        # Behind by one, so that the sweep looks until it runs or fails.
        behind = instance.generation - 1
        move(instance, InstanceState.UPDATING, state_reason="", retry_at=None, observed_generation=behind)


def _observed(instance: Instance) -> InstanceStatus | None:
    try:
        return cluster.of(instance.cloud.cell_id).observe(instance.cloud_id, instance.pk)
    except NotFound:
        return None


def _apply(instance: Instance, spec: InstanceSpec) -> None:
    try:
        cluster.of(instance.cloud.cell_id).apply_instance(spec)
    except NotFound:
        # The namespace was lost. Its row exists, so it is ours to make again.
        cluster.of(instance.cloud.cell_id).ensure_cloud(cloud_spec(instance.cloud))
        cluster.of(instance.cloud.cell_id).apply_instance(spec)


@transaction.atomic
def _settle(instance: Instance, operation: Operation | None, status: InstanceStatus) -> bool:
    """Write down what was seen, unless something else is wanted by now: then it is the past's.

    Returns True when an update failed and the version before is wanted again.
    """
    row = _locked(instance.pk)
    if row.generation != instance.generation or row.wanted != instance.wanted:
        return False
    if row.retry_at is not None:  # it is there after all, and what it says counts
        Instance.objects.filter(pk=row.pk).update(retry_at=None)
    if status.failed and row.reverts and row.wanted == Wanted.RUNNING:
        _go_back(row, operation, *_complaint(status))
        return True
    differs = status.ready and row.observed_generation != row.generation and _bring_rows_up(row)
    differs |= _write_micros(row, status)
    if status.failed:
        differs |= _fail(row, operation, *_complaint(status))
    elif status.ready:
        differs |= _running(row, operation)
    if differs:
        feed.changed(row.pk)
        announce(row.cloud_id, row.pk)
    return False


def _bring_rows_up(row: Instance) -> bool:
    """What the version that runs now says of micros and of schedules."""
    differs = versions.bring_rows_up(row)
    return actions.align(row, timezone.now()) or differs


def _locked(instance_id: str) -> Instance:
    """In two statements: one that joins the revision and has to wait finds nothing where that was changed meanwhile."""
    Instance.objects.select_for_update(no_key=True).values_list("pk").get(pk=instance_id)
    return Instance.objects.select_related("revision", "previous_revision", "previous_release").get(pk=instance_id)


def _go_back(row: Instance, operation: Operation | None, reason: str, log_tail: str) -> None:
    log.warning("update_reverted cloud=%s instance=%s reason=%s", row.cloud_id, row.pk, reason)
    versions.go_back(row, reason, _clean(log_tail))
    steps.fail(operation, reason)
    announce(row.cloud_id, row.pk)


def _write_micros(row: Instance, status: InstanceStatus) -> bool:
    seen = {micro.name: micro for micro in status.micros}
    differs = False
    for micro in row.micros.all():
        if micro.name not in seen:
            continue
        now = seen[micro.name]
        face = str(now.phase), now.upstream or "", now.candidate or ""
        if (micro.phase, micro.upstream, micro.candidate) != face:
            micro.phase, micro.upstream, micro.candidate = face
            micro.save(update_fields=["phase", "upstream", "candidate"])
            differs = True
    return differs


def _running(row: Instance, operation: Operation | None) -> bool:
    settled = row.state == InstanceState.RUNNING and row.observed_generation == row.generation
    if row.state != InstanceState.RUNNING:
        log_tail = row.log_tail if row.update_error else ""  # that of the update which failed
        changes: dict[str, Any] = {"state_reason": "", "log_tail": log_tail, "reverts": False}
        changes |= {"retry_at": None, "retries": 0, "awake_since": timezone.now()}
        move(row, InstanceState.RUNNING, observed_generation=row.generation, **changes)
    elif not settled:
        Instance.objects.filter(pk=row.pk).update(observed_generation=row.generation)
    steps.succeed(operation)
    return not settled


def _complaint(status: InstanceStatus) -> tuple[str, str]:
    """(why it failed, its last lines)."""
    worst = next(micro for micro in status.micros if micro.phase is MicroPhase.FAILED)
    reason = worst.reason or "It stopped and did not start again."
    if len(status.micros) > 1:
        reason = f"{worst.name}: {reason}"
    return reason, worst.log_tail


def _clean(log_tail: str) -> str:
    return log_tail[-LOG_TAIL_LIMIT:].replace("\x00", "�")


def _fail(row: Instance, operation: Operation | None, reason: str, log_tail: str = "") -> bool:
    settled = row.state == InstanceState.FAILED and row.observed_generation == row.generation
    changes: dict[str, Any] = {
        "state_reason": reason,
        "log_tail": _clean(log_tail),
        "observed_generation": row.generation,
    }
    if row.state != InstanceState.FAILED:
        move(row, InstanceState.FAILED, **changes)
    elif not settled:
        Instance.objects.filter(pk=row.pk).update(**changes)
    steps.fail(operation, reason)
    return not settled


def _remove(instance: Instance, operation: Operation | None) -> None:
    steps.start(operation, "stop")
    there = cluster.of(instance.cloud.cell_id)
    there.delete_instance(instance.cloud_id, instance.pk, delete_volume=instance.delete_data)
    if there.instance_exists(instance.cloud_id, instance.pk):
        return  # on its way out; the observer or the sweep comes back
    with transaction.atomic():
        steps.finish(operation, "stop")
        steps.start(operation, "clear")
    _forget(instance, operation)


@transaction.atomic
def _forget(instance: Instance, operation: Operation | None) -> None:
    row = Instance.objects.select_for_update(no_key=True).get(pk=instance.pk)
    if row.state == InstanceState.REMOVING:
        move(row, InstanceState.REMOVED, removed_at=timezone.now(), observed_generation=row.generation)
    row.micros.all().delete()
    row.actions.all().delete()
    steps.succeed(operation)
    feed.changed(row.pk)
    announce(row.cloud_id, row.pk)


def _later(instance: Instance, operation: Operation | None, why: str, retry_after_s: float | None) -> None:
    if operation is None:
        log.warning("instance_waits cloud=%s instance=%s why=%s", instance.cloud_id, instance.pk, why)
        if again.is_due(instance) or _wakes_too_long(instance):
            _give_up(instance, None, why)
        return
    # A removal never gives up: half removed is no state to leave anything in.
    forever = operation.kind == OperationKind.REMOVE
    if not steps.postpone(operation, why, retry_after_s, forever=forever):
        _give_up(instance, operation, why)


def _wakes_too_long(instance: Instance) -> bool:
    """Somebody waits for it; without an operation nothing else ends that."""
    since = instance.awake_since
    return instance.state == InstanceState.WAKING and since is not None and timezone.now() - since > WAKING_LIMIT


@transaction.atomic
def _give_up(instance: Instance, operation: Operation | None, reason: str, *, by_cluster: bool = True) -> None:
    """by_cluster: that could not or would not run it, and is asked again some time."""
    log.error("instance_failed cloud=%s instance=%s reason=%s", instance.cloud_id, instance.pk, reason)
    row = _locked(instance.pk)
    if row.generation != instance.generation:
        return
    if row.reverts and row.wanted == Wanted.RUNNING:
        _go_back(row, operation, reason, "")
        return
    if row.wanted == Wanted.ASLEEP:
        steps.fail(operation, reason)  # it takes no requests any more; the sweep goes on asking until it is stopped
        return
    if row.wanted == Wanted.REMOVED:
        Instance.objects.filter(pk=row.pk).update(observed_generation=row.generation)
        steps.fail(operation, reason)
    else:
        _fail(row, operation, reason)
    if by_cluster:
        tries = {"retry_at": again.next_try(row), "retries": row.retries + 1}
        Instance.objects.filter(pk=row.pk).update(state_reason=again.explained(reason, row), **tries)
    feed.changed(row.pk)
    announce(row.cloud_id, row.pk)
