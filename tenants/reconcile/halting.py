"""No process may be there: of what belongs to a cloud that closes or is suspended, which can be brought up again until the
cloud is erased, and of what is asleep."""

from django.db import transaction

from k8s.errors import NotFound
from k8s.specs import InstanceSpec, InstanceStatus, MicroKind, MicroPhase
from tenants import feed, steps
from tenants.live import announce
from tenants.models import Instance, Operation
from tenants.reconcile import cluster
from tenants.reconcile.specs import instance_spec
from tenants.states import HELD, InstanceState, move


def halt(instance: Instance) -> None:
    """No process of it may stay. Never makes a namespace: it may be on its way out."""
    if _is_over(instance):
        cloud = instance.cloud
        why = f"The cloud is {cloud.state}. {cloud.state_reason}" if cloud.state in HELD else ""
        _ended(instance, InstanceState.STOPPED, None, why)


def rest(instance: Instance, operation: Operation | None, altered: bool) -> None:
    """What is asleep has no process, and costs a look at nothing while no event says that something moved."""
    settled = instance.state == InstanceState.ASLEEP and instance.observed_generation == instance.generation
    if settled and operation is None and not altered:
        return
    steps.start(operation, "stop")
    if _is_over(instance):
        _ended(instance, InstanceState.ASLEEP, operation)


def _is_over(instance: Instance) -> bool:
    spec, there = instance_spec(instance), cluster.of(instance.cloud.cell_id)
    try:
        there.delete_jobs(instance.cloud_id, instance.pk)
        there.apply_instance(spec)
        return is_still(spec, there.observe(instance.cloud_id, instance.pk))
    except NotFound:
        return True  # nothing of it is there


def is_still(spec: InstanceSpec, status: InstanceStatus) -> bool:
    """Files need no process, so a driver may call a static micro ready all the time."""
    processes = {micro.name for micro in spec.micros if micro.kind is MicroKind.PROCESS}
    running = [micro for micro in status.micros if micro.name in processes and micro.phase is not MicroPhase.STOPPED]
    return status.generation >= spec.generation and not running


@transaction.atomic
def _ended(instance: Instance, state: InstanceState, operation: Operation | None, why: str = "") -> None:
    row = Instance.objects.select_for_update(no_key=True).get(pk=instance.pk)
    if row.generation != instance.generation or row.wanted != instance.wanted:
        return
    if row.state == state:
        Instance.objects.filter(pk=row.pk).update(observed_generation=row.generation, state_reason=why)
    else:
        move(row, state, state_reason=why, observed_generation=row.generation)
    row.micros.update(phase=MicroPhase.STOPPED, upstream="", candidate="")
    steps.succeed(operation)
    feed.changed(row.pk)
    announce(row.cloud_id, row.pk)
