"""A cloud's row and its namespace."""

import logging

from django.db import transaction
from django.db.models import F

from k8s.errors import ClusterError, Temporary
from tenants import logs, steps
from tenants.live import announce
from tenants.models import Cloud, Operation, OperationKind
from tenants.reconcile import again, closing, cluster
from tenants.reconcile.advisory import held
from tenants.reconcile.specs import cloud_spec
from tenants.states import HELD, CloudState, move

log = logging.getLogger(__name__)
LIVING = (CloudState.CREATING, CloudState.ACTIVE, *HELD)
# What is over when the namespace is as the row says.
MAKING = (OperationKind.CREATE_CLOUD, OperationKind.REOPEN_CLOUD, OperationKind.CHANGE_PLAN)


def reconcile(cloud_id: str) -> list[str]:
    """Bring the namespace in line with the row. Returns the ids of instances that waited for it."""
    with held(f"cloud:{cloud_id}") as mine:
        cloud = Cloud.objects.select_related("plan").filter(pk=cloud_id).first() if mine else None
        if cloud is not None and cloud.state == CloudState.CLOSING:
            closing.advance(cloud)
        if cloud is None or cloud.state not in LIVING:
            return []
        if cloud.observed_generation >= cloud.generation and not again.is_due(cloud):
            return []
        operation = steps.current(cloud=cloud, kind__in=MAKING, generation__lte=cloud.generation)
        logs.also(operation=operation.pk if operation else None)
        if not steps.is_due(operation):
            return []
        return _ensure(cloud, operation)


def _ensure(cloud: Cloud, operation: Operation | None) -> list[str]:
    steps.start(operation, "namespace")
    try:
        cluster.of(cloud.cell_id).ensure_cloud(cloud_spec(cloud))
    except Temporary as error:
        _later(cloud, operation, error)
        return []
    except ClusterError as error:
        _give_up(cloud, operation, str(error))
        return []
    steps.finish(operation, "namespace")
    steps.start(operation, "open")
    return _settle(cloud, operation)


@transaction.atomic
def _settle(cloud: Cloud, operation: Operation | None) -> list[str]:
    row = Cloud.objects.select_for_update(no_key=True).get(pk=cloud.pk)
    if row.generation != cloud.generation:
        return []  # changed meanwhile, and enqueued by whoever did
    if row.state == CloudState.CREATING:
        move(row, CloudState.ACTIVE, state_reason="")
    done = {"observed_generation": cloud.generation, "state_reason": "", "retry_at": None, "retries": 0}
    Cloud.objects.filter(pk=row.pk).update(**done)
    steps.succeed(operation)
    for other in _others(row, operation):
        steps.succeed(other)
    announce(row.pk, row.pk)
    unsettled = row.instances.filter(observed_generation__lt=1)
    return list(unsettled.values_list("pk", flat=True))


def _later(cloud: Cloud, operation: Operation | None, error: Temporary) -> None:
    if operation is None:
        log.warning("cloud_waits cloud=%s why=%s", cloud.pk, error)
        if again.is_due(cloud):
            _give_up(cloud, None, str(error))
    elif not steps.postpone(operation, str(error), error.retry_after_s):
        _give_up(cloud, operation, str(error))


@transaction.atomic
def _give_up(cloud: Cloud, operation: Operation | None, reason: str) -> None:
    """Shown. Another generation (Retry, a changed quota) tries again at once, and time does."""
    log.error("cloud_failed cloud=%s reason=%s", cloud.pk, reason)
    Cloud.objects.filter(pk=cloud.pk, generation=cloud.generation).update(
        state_reason=again.explained(reason, cloud),
        observed_generation=cloud.generation,
        retry_at=again.next_try(cloud),
        retries=F("retries") + 1,
    )
    steps.fail(operation, reason)
    for other in _others(cloud, operation):
        steps.fail(other, reason)
    announce(cloud.pk, cloud.pk)


def _others(cloud: Cloud, operation: Operation | None) -> list[Operation]:
    """Older ones that wait for the same: a plan that was changed before the namespace was made."""
    rows = Operation.objects.filter(
        cloud=cloud, kind__in=MAKING, state__in=steps.OPEN, generation__lte=cloud.generation
    )
    return list(rows.exclude(pk=operation.pk) if operation else rows)
