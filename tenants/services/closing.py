"""Leaving: close an account, or think better of it until the published date."""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from tenants import feed, steps
from tenants.errors import Conflict
from tenants.live import announce
from tenants.models import ApiToken, Cloud, DataServer, Event, Instance, Operation, OperationKind, User, Wanted
from tenants.services import instances, sessions
from tenants.states import CloudState, InstanceState, RevisionState, WorkState, move
from tenants.tasks import enqueue_cloud, enqueue_data_server, enqueue_instance

CLOSE_STEPS = (
    ("dark", "Close every address and end every session"),
    ("stop", "Stop your apps"),
    ("wait", "Keep everything until the published date"),
    ("erase", "Erase your cloud and all data in it"),
    ("account", "Erase your account"),
)
REOPEN_STEPS = (
    ("cancel", "Call off the erasure"),
    ("namespace", "Look after your namespace and its limits"),
    ("open", "Open your cloud"),
)
_WHY = "The account is being closed."


@transaction.atomic
def close_account(actor: User) -> Operation:
    """Go dark at once, and erase everything when FREEHOLD_ERASE_AFTER_DAYS have passed; `reopen_account` undoes it.

    Ends all sessions and tokens of theirs. Again: the operation that is closing it. Raises Conflict for an operator.
    """
    if actor.is_staff:
        raise Conflict(
            "operator_stays", "An operator's account cannot be closed. Another operator must end yours first."
        )
    cloud = _lock(actor)
    if cloud.state == CloudState.CLOSING and (known := _closing(cloud)):
        return known
    _stop_work(cloud)
    erase_at = timezone.now() + timedelta(days=settings.ERASE_AFTER_DAYS)
    move(cloud, CloudState.CLOSING, actor=actor.pk, erase_at=erase_at, state_reason="")
    operation = steps.open_operation(OperationKind.CLOSE_CLOUD, cloud, CLOSE_STEPS, actor=actor, done=("dark",))
    _touch_instances(cloud)
    sessions.end_all(actor)
    ApiToken.objects.filter(user=actor).delete()
    enqueue_cloud(cloud.pk)
    return operation


@transaction.atomic
def reopen_account(actor: User) -> Operation:
    """Keep the account after all: what ran starts again. Raises Conflict when it is not closing, or erasing has begun."""
    cloud = _lock(actor)
    operation = _closing(cloud)
    if cloud.state != CloudState.CLOSING or cloud.erase_at is None or operation is None:
        raise Conflict("not_closing", "Your account is not being closed.")
    if cloud.erase_at <= timezone.now() or not operation.steps.filter(name="erase", state=WorkState.QUEUED).exists():
        raise Conflict("erasure_begun", "The date has come: your account is being erased and cannot be kept any more.")
    before = Event.objects.filter(subject=cloud.pk, kind="cloud", after=CloudState.CLOSING).latest("at").before
    steps.cancel(operation, "You kept your account.")
    move(cloud, CloudState(before), actor=actor.pk, erase_at=None, generation=cloud.generation + 1)
    again = steps.open_operation(OperationKind.REOPEN_CLOUD, cloud, REOPEN_STEPS, actor=actor, done=("cancel",))
    _touch_instances(cloud)
    for row in cloud.instances.filter(wanted=Wanted.RUNNING, state=InstanceState.STOPPED):
        instances.start_again(actor, row)
    for row in cloud.instances.filter(wanted=Wanted.ASLEEP, state=InstanceState.STOPPED):
        move(row, InstanceState.ASLEEP, actor=actor.pk)
    enqueue_cloud(cloud.pk)
    return again


def _lock(actor: User) -> Cloud:
    cloud: Cloud = Cloud.objects.select_for_update(of=("self",), no_key=True).get(owner=actor)
    return cloud


def _closing(cloud: Cloud) -> Operation | None:
    return steps.current(cloud=cloud, kind=OperationKind.CLOSE_CLOUD)


def _stop_work(cloud: Cloud) -> None:
    """Whatever goes on in the cloud; removals go on, since they lead where everything goes."""
    for operation in cloud.operations.filter(state__in=steps.OPEN).exclude(kind=OperationKind.REMOVE):
        revision = operation.revision
        if revision is not None and revision.state in (RevisionState.QUEUED, RevisionState.BUILDING):
            move(revision, RevisionState.FAILED, state_reason=_WHY)
        steps.cancel(operation, _WHY)


def _touch_instances(cloud: Cloud) -> None:
    """Their wanted state follows the cloud's: the gate and the cluster must hear of each."""
    rows = cloud.instances.exclude(state=InstanceState.REMOVED)
    ids = list(rows.values_list("pk", flat=True))
    Instance.objects.filter(pk__in=ids).exclude(wanted=Wanted.REMOVED).update(generation=F("generation") + 1)
    for instance_id in ids:
        feed.changed(instance_id)
        enqueue_instance(instance_id)
    for server_id in DataServer.objects.filter(cloud=cloud).values_list("pk", flat=True):
        DataServer.objects.filter(pk=server_id).update(generation=F("generation") + 1)
        enqueue_data_server(server_id)
    feed.data_changed(cloud.pk)
    announce(cloud.pk, cloud.pk)
