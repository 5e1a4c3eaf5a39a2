"""Doing again what failed, whatever it was."""

from tenants.errors import Conflict
from tenants.models import Operation, OperationKind, User
from tenants.reconcile.transfers import KINDS as TRANSFERS
from tenants.services import clouds, instances, plan_changes, publish, transfers, uploads
from tenants.states import WorkState


def retry_operation(actor: User, operation: Operation) -> Operation:
    """The operation that tries again. Raises Conflict for one that did not fail, or that something newer overtook."""
    if operation.state != WorkState.FAILED:
        raise Conflict("operation_not_failed", "Only what failed can be tried again.")
    if _newer(operation):
        raise Conflict("operation_overtaken", "Something newer has happened since; see the newest operation.")
    if operation.kind == OperationKind.CREATE_CLOUD:
        return clouds.retry_cloud(actor, operation.cloud)
    if operation.kind == OperationKind.CHANGE_PLAN:
        return plan_changes.retry_limits(actor, operation.cloud)
    if operation.kind == OperationKind.REMOVE and operation.instance is not None:
        row = operation.instance
        return instances.remove_instance(actor, row, delete_data=row.delete_data)
    if operation.kind == OperationKind.BUILD and operation.revision is not None:
        return publish.retry_revision(actor, operation.revision.app, operation.revision)[1]
    if operation.kind == OperationKind.LOOK:
        return uploads.look_again(actor, operation)
    if operation.kind in TRANSFERS:
        return transfers.retry_transfer(actor, operation)
    if operation.instance is not None:
        return instances.restart_instance(actor, operation.instance)
    raise Conflict("not_repeatable", "This cannot be tried again.")


def _newer(operation: Operation) -> bool:
    """Whether the same thing has been worked on since."""
    about: dict[str, object] = {
        "cloud": operation.cloud,
        "instance": operation.instance,
        "revision": operation.revision,
        "collection": operation.collection,
    }
    return Operation.objects.filter(created_at__gt=operation.created_at, **about).exists()
