"""From a closing cloud to a closed one: stop, wait for the published date, erase. Killed anywhere, the next look goes on.

The date is what counts: until it everything is kept, from it on nothing holds the erasure up but the cluster itself.
"""

import logging
from datetime import timedelta

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from k8s.errors import ClusterError, Temporary
from tenants import steps
from tenants.models import Cloud, DataServer, Event, Operation, OperationKind
from tenants.reconcile import cluster, erasure, farewell
from tenants.states import CloudState, DataServerState, InstanceState, WorkState

log = logging.getLogger(__name__)
LOOK_AGAIN_S, LOOK_AGAIN_SLOWLY_S = 2.0, 30.0
SLOW = timedelta(minutes=5)
_LOOKED_AFTER = timedelta(hours=1)


def advance(cloud: Cloud) -> None:
    """Take the next steps of closing `cloud`. Returns without waiting; the sweep comes back when it is due."""
    operation = steps.current(cloud=cloud, kind=OperationKind.CLOSE_CLOUD)
    if operation is None or cloud.erase_at is None or not steps.is_due(operation):
        return
    try:
        if cloud.erase_at > timezone.now():
            _stop(cloud, operation)
        elif _begin(cloud, operation) and _erase(cloud, operation):
            erasure.forget(cloud, operation)
    except ClusterError as error:
        # Never given up: half erased is no state to leave anybody's data in. Operators see it among what hangs.
        retry_after_s = error.retry_after_s if isinstance(error, Temporary) else None
        steps.postpone(operation, str(error), retry_after_s, forever=True)


def _stop(cloud: Cloud, operation: Operation) -> None:
    """Instances stop by themselves, since their cloud closes; here it is only seen."""
    steps.start(operation, "stop")
    _end_builds(cloud)
    if cloud.instances.exclude(state=InstanceState.REMOVED).filter(observed_generation__lt=F("generation")).exists():
        return
    # Those that ran, and are not up so that everything can be fetched before it is erased.
    data_servers = DataServer.objects.filter(cloud=cloud, needed_until__isnull=True).exclude(program="")
    if data_servers.exclude(state=DataServerState.STOPPED).exists():
        return
    farewell.announce_date(cloud)
    with transaction.atomic():
        steps.finish(operation, "stop")
        steps.start(operation, "wait", f"Everything is kept until {cloud.erase_at:%-d %B %Y, %H:%M} UTC.")
        Operation.objects.filter(pk=operation.pk).update(not_before=cloud.erase_at)


def _end_builds(cloud: Cloud) -> None:
    cancelled = cloud.operations.filter(kind=OperationKind.BUILD, state=WorkState.CANCELLED, revision__isnull=False)
    for revision_id in cancelled.values_list("revision_id", flat=True):
        cluster.of(cloud.cell_id).delete_build(cloud.pk, str(revision_id))


@transaction.atomic
def _begin(cloud: Cloud, operation: Operation) -> bool:
    """From here on nobody can call it off. Under the lock under which one does."""
    row = Cloud.objects.select_for_update(no_key=True).get(pk=cloud.pk)
    if row.state != CloudState.CLOSING or row.erase_at is None or row.erase_at > timezone.now():
        return False
    DataServer.objects.filter(cloud=cloud).update(needed_until=None)  # nobody fetches anything any more
    steps.finish(operation, "stop")
    steps.finish(operation, "wait")
    steps.start(operation, "erase")
    return True


def _erase(cloud: Cloud, operation: Operation) -> bool:
    """Whether the namespace is gone. Asked for each time: a deletion that was lost is asked for again."""
    there = cluster.of(cloud.cell_id)
    there.delete_cloud(cloud.pk)
    if there.cloud_exists(cloud.pk):
        is_slow = _is_slow(operation)
        steps.start(operation, "erase", _held(cloud) if is_slow else "The cluster is removing it.")
        due = timezone.now() + timedelta(seconds=LOOK_AGAIN_SLOWLY_S if is_slow else LOOK_AGAIN_S)
        Operation.objects.filter(pk=operation.pk).update(not_before=due)
        return False
    with transaction.atomic():
        if cloud.state_reason:
            Event.record(cloud, before="stuck", after="gone")
            Cloud.objects.filter(pk=cloud.pk).update(state_reason="")
        steps.finish(operation, "erase")
        steps.start(operation, "account")
    return True


def _is_slow(operation: Operation) -> bool:
    step = operation.steps.get(name="erase")
    return step.started_at is not None and timezone.now() - step.started_at >= SLOW


def _held(cloud: Cloud) -> str:
    """What the cluster says holds the namespace. Nothing is forced; each cause is an event once, for operators."""
    why = cluster.of(cloud.cell_id).what_holds(cloud.pk)
    reason = f"The cluster has not finished for a long time; an operator must see what holds {cloud.namespace}"
    reason = f"{reason}: {why}." if why else f"{reason}."
    if cloud.state_reason != reason:
        log.warning("cloud_stuck cloud=%s namespace=%s why=%s", cloud.pk, cloud.namespace, why)
        with transaction.atomic():
            Event.record(cloud, before=cloud.state, after="stuck", reason=reason)
            Cloud.objects.filter(pk=cloud.pk).update(state_reason=reason)
        cloud.state_reason = reason
    return reason


def look_after() -> None:
    """A worker that was held up since before the erasure may have made the namespace again: take it away."""
    since = timezone.now() - _LOOKED_AFTER
    for cloud in Cloud.objects.filter(state=CloudState.CLOSED, closed_at__gte=since):
        try:
            there = cluster.of(cloud.cell_id)
            if there.cloud_exists(cloud.pk):
                log.warning("closed_cloud_was_there cloud=%s", cloud.pk)
                there.delete_cloud(cloud.pk)
        except ClusterError as error:
            log.warning("closed_cloud_not_looked_for cloud=%s why=%s", cloud.pk, error)
