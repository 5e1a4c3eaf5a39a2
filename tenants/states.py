"""Every state there is, which may follow which, and the one function that moves a row from one to the next."""

from typing import Any

from django.apps import apps
from django.db import models, transaction


class CloudState(models.TextChoices):
    CREATING = "creating"
    ACTIVE = "active"
    ASLEEP = "asleep"
    SUSPENDED = "suspended"
    CLOSING = "closing"
    CLOSED = "closed"


# Nothing of the apps in them runs, and it comes back as it was: what holds them is in tenants.models.CloudHold.
HELD = (CloudState.ASLEEP, CloudState.SUSPENDED)
# Nothing in them has an address.
DARK = (CloudState.CLOSING, CloudState.CLOSED)


class InstanceState(models.TextChoices):
    INSTALLING = "installing"
    RUNNING = "running"
    ASLEEP = "asleep"
    WAKING = "waking"
    UPDATING = "updating"
    STOPPED = "stopped"
    FAILED = "failed"
    REMOVING = "removing"
    REMOVED = "removed"


class DataServerState(models.TextChoices):
    STARTING = "starting"
    RUNNING = "running"
    STOPPED = "stopped"
    FAILED = "failed"


class CollectionState(models.TextChoices):
    ACTIVE = "active"
    REMOVING = "removing"


class ShareState(models.TextChoices):
    """Of an invitation to an instance. ended: taken back by the owner, or left by whoever had accepted."""

    INVITED = "invited"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    ENDED = "ended"


class WorkState(models.TextChoices):
    """Of operations and of their steps."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class ArrearsState(models.TextChoices):
    """Of a plan that is not paid for; each but the last two begins on a date that was told before."""

    PAST_DUE = "past_due"
    ASLEEP = "asleep"
    SUSPENDED = "suspended"
    CLOSING = "closing"
    PAID = "paid"
    ERASED = "erased"


class RevisionState(models.TextChoices):
    QUEUED = "queued"
    BUILDING = "building"
    READY = "ready"
    FAILED = "failed"


# For each kind of state: from → what may follow. Anything else is a defect and raises. By kind, because members of
# different enums with the same word are equal to each other.
_ARROWS: dict[type[models.TextChoices], dict[str, str]] = {
    CloudState: {
        "creating": "active closing",
        "active": "asleep suspended closing",
        "asleep": "active suspended closing",
        "suspended": "active asleep closing",
        "closing": "active asleep suspended closed",  # back, while nothing has been erased
        "closed": "",
    },
    # `updating` also covers a restart: the instance is being brought to a new generation of its desired state.
    InstanceState: {
        "installing": "running stopped failed removing",
        "running": "updating asleep stopped failed removing",
        "updating": "running stopped failed removing",
        "asleep": "waking updating stopped failed removing",
        "waking": "running updating stopped failed removing",
        "stopped": "asleep waking updating failed removing",
        "failed": "running updating stopped removing",
        "removing": "removed",
        "removed": "",
    },
    DataServerState: {
        "starting": "running stopped failed",
        "running": "starting stopped failed",
        "stopped": "starting running failed",
        "failed": "starting running stopped",
    },
    CollectionState: {"active": "removing", "removing": ""},
    ShareState: {
        "invited": "accepted declined ended",
        "accepted": "ended",
        "declined": "invited ended",
        "ended": "invited",
    },
    WorkState: {
        "queued": "running succeeded failed cancelled",
        "running": "succeeded failed cancelled",
        "succeeded": "",
        "failed": "",
        "cancelled": "",
    },
    ArrearsState: {
        "past_due": "asleep paid erased",
        "asleep": "suspended paid erased",
        "suspended": "closing paid erased",
        "closing": "paid erased",
        "paid": "",
        "erased": "",
    },
    RevisionState: {"queued": "building failed", "building": "ready failed", "ready": "", "failed": ""},
}


def allowed(before: models.TextChoices) -> frozenset[models.TextChoices]:
    """The states that may follow `before`."""
    return frozenset(type(before)(word) for word in _ARROWS[type(before)][before.value].split())


class ForbiddenTransition(Exception):
    """A move that the table does not allow: a defect, never a race."""


def move(row: Any, to: models.TextChoices, *, actor: str = "", reason: str = "", **changes: Any) -> bool:
    """Compare-and-set `row.state` to `to`, with `changes` to other columns, and append an Event; one transaction.

    Returns True if this call won. False means that somebody moved the row meanwhile: read it again and decide anew.
    `row` keeps its old values in that case. actor: id of the person who asked, "" for the platform. reason: for the event,
    where it is not the `state_reason`.
    Raises ForbiddenTransition when the table has no such arrow.
    """
    before = type(to)(row.state)
    if to not in allowed(before):
        raise ForbiddenTransition(f"{type(row).__name__} {row.pk}: {before} → {to}")
    with transaction.atomic():
        if not type(row)._base_manager.filter(pk=row.pk, state=before).update(state=to, **changes):
            return False
        event = apps.get_model("tenants", "Event")
        event.record(row, before=before, after=to, actor=actor, reason=reason or str(changes.get("state_reason", "")))
    row.state = to
    for name, value in changes.items():
        setattr(row, name, value)
    return True
