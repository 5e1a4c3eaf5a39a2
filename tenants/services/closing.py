"""Leaving: close an account, or think better of it until the published date."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from tenants import steps
from tenants.errors import Conflict
from tenants.models import ApiToken, Cloud, Operation, OperationKind, User
from tenants.services import holds, sessions, standstill
from tenants.states import HELD, ArrearsState, CloudState, WorkState, move
from tenants.tasks import enqueue_cloud

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
    return close(cloud, actor)


def close(cloud: Cloud, actor: User | None) -> Operation:
    """As `close_account` for a locked cloud; actor None: nobody asked for it, its plan was not paid for."""
    standstill.stop_work(cloud, _WHY)
    erase_at = timezone.now() + timedelta(days=settings.ERASE_AFTER_DAYS)
    move(cloud, CloudState.CLOSING, actor=actor.pk if actor else "", erase_at=erase_at, state_reason="")
    operation = steps.open_operation(OperationKind.CLOSE_CLOUD, cloud, CLOSE_STEPS, actor=actor, done=("dark",))
    standstill.touch(cloud)
    sessions.end_all(cloud.owner)
    ApiToken.objects.filter(user=cloud.owner).delete()
    enqueue_cloud(cloud.pk)
    return operation


@transaction.atomic
def reopen_account(actor: User) -> Operation:
    """Keep the account after all: what ran starts again. Raises Conflict when it is not closing, when erasing has begun,
    and where it closes because its plan is not paid for."""
    cloud = _lock(actor)
    if cloud.state == CloudState.CLOSING and cloud.arrears.filter(state=ArrearsState.CLOSING).exists():
        raise Conflict("payment_due", "Your plan is not paid for. Pay it, and your account stays.")
    return reopen(cloud, actor)


def reopen(cloud: Cloud, actor: User | None) -> Operation:
    """As `reopen_account` for a locked cloud. What holds it goes on holding it."""
    operation = _closing(cloud)
    if cloud.state != CloudState.CLOSING or cloud.erase_at is None or operation is None:
        raise Conflict("not_closing", "Your account is not being closed.")
    if not can_reopen(cloud):
        raise Conflict("erasure_begun", "The date has come: your account is being erased and cannot be kept any more.")
    steps.cancel(operation, "You kept your account." if actor else "It was paid.")
    wanted, why = holds.wanted_state(cloud)
    changes: dict[str, Any] = {"state_reason": why, "generation": cloud.generation + 1}
    move(cloud, wanted, actor=actor.pk if actor else "", erase_at=None, **changes)
    again = steps.open_operation(OperationKind.REOPEN_CLOUD, cloud, REOPEN_STEPS, actor=actor, done=("cancel",))
    if wanted in HELD:
        standstill.touch(cloud)
    else:
        standstill.start_again(cloud.owner, cloud)
    enqueue_cloud(cloud.pk)
    return again


def can_reopen(cloud: Cloud) -> bool:
    """Until its date, and while nothing has been erased."""
    operation = _closing(cloud)
    is_early = cloud.erase_at is not None and cloud.erase_at > timezone.now()
    return bool(is_early and operation and operation.steps.filter(name="erase", state=WorkState.QUEUED).exists())


def _lock(actor: User) -> Cloud:
    cloud: Cloud = Cloud.objects.select_for_update(of=("self",), no_key=True).get(owner=actor)
    return cloud


def _closing(cloud: Cloud) -> Operation | None:
    return steps.current(cloud=cloud, kind=OperationKind.CLOSE_CLOUD)
