"""Stopping what belongs to a cloud that closes or is suspended. It can be brought up again until the cloud is erased."""

from django.db import transaction

from k8s.errors import NotFound
from k8s.specs import InstanceSpec, InstanceStatus, MicroKind, MicroPhase
from tenants import feed
from tenants.live import announce
from tenants.models import Instance
from tenants.reconcile import cluster
from tenants.reconcile.specs import instance_spec
from tenants.states import InstanceState, move


def halt(instance: Instance) -> None:
    """No process of it may stay. Never makes a namespace: it may be on its way out."""
    spec, there = instance_spec(instance), cluster.of(instance.cloud.cell_id)
    status = None
    try:
        there.apply_instance(spec)
        status = there.observe(instance.cloud_id, instance.pk)
    except NotFound:
        pass  # nothing of it is there
    if status is None or _is_still(spec, status):
        _stopped(instance)


def _is_still(spec: InstanceSpec, status: InstanceStatus) -> bool:
    """Files need no process, so a driver may call a static micro ready all the time."""
    processes = {micro.name for micro in spec.micros if micro.kind is MicroKind.PROCESS}
    running = [micro for micro in status.micros if micro.name in processes and micro.phase is not MicroPhase.STOPPED]
    return status.generation >= spec.generation and not running


@transaction.atomic
def _stopped(instance: Instance) -> None:
    row = Instance.objects.select_for_update(no_key=True).get(pk=instance.pk)
    if row.generation != instance.generation or row.wanted != instance.wanted:
        return
    if row.state == InstanceState.STOPPED:
        Instance.objects.filter(pk=row.pk).update(observed_generation=row.generation)
    else:
        move(row, InstanceState.STOPPED, state_reason="", observed_generation=row.generation)
    row.micros.update(phase=MicroPhase.STOPPED, upstream="")
    feed.changed(row.pk)
    announce(row.cloud_id, row.pk)
