"""Every state there is, which may follow which, and the one function that moves a row from one to the next."""

from typing import Any

from django.apps import apps
from django.db import models, transaction


class CloudState(models.TextChoices):
    CREATING = "creating"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    CLOSING = "closing"
    CLOSED = "closed"


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


class WorkState(models.TextChoices):
    """Of operations and of their steps."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class RevisionState(models.TextChoices):
    QUEUED = "queued"
    BUILDING = "building"
    READY = "ready"
    FAILED = "failed"


# For each kind of state: from → what may follow. Anything else is a defect and raises.
# By kind first, since members of different kinds with the same text are equal.
TRANSITIONS: dict[type[models.TextChoices], dict[models.TextChoices, frozenset[models.TextChoices]]] = {
    CloudState: {
        CloudState.CREATING: frozenset({CloudState.ACTIVE, CloudState.CLOSING}),
        CloudState.ACTIVE: frozenset({CloudState.SUSPENDED, CloudState.CLOSING}),
        CloudState.SUSPENDED: frozenset({CloudState.ACTIVE, CloudState.CLOSING}),
        CloudState.CLOSING: frozenset({CloudState.CLOSED}),
        CloudState.CLOSED: frozenset(),
    },
    InstanceState: {
        # `updating` also covers a restart: the instance is being brought to a new generation of its desired state.
        InstanceState.INSTALLING: frozenset({InstanceState.RUNNING, InstanceState.FAILED, InstanceState.REMOVING}),
        InstanceState.RUNNING: frozenset(
            {
                InstanceState.UPDATING,
                InstanceState.ASLEEP,
                InstanceState.STOPPED,
                InstanceState.FAILED,
                InstanceState.REMOVING,
            }
        ),
        InstanceState.UPDATING: frozenset({InstanceState.RUNNING, InstanceState.FAILED, InstanceState.REMOVING}),
        InstanceState.ASLEEP: frozenset(
            {
                InstanceState.WAKING,
                InstanceState.UPDATING,
                InstanceState.STOPPED,
                InstanceState.FAILED,
                InstanceState.REMOVING,
            }
        ),
        InstanceState.WAKING: frozenset({InstanceState.RUNNING, InstanceState.FAILED, InstanceState.REMOVING}),
        InstanceState.STOPPED: frozenset(
            {InstanceState.WAKING, InstanceState.UPDATING, InstanceState.FAILED, InstanceState.REMOVING}
        ),
        InstanceState.FAILED: frozenset(
            {InstanceState.RUNNING, InstanceState.UPDATING, InstanceState.STOPPED, InstanceState.REMOVING}
        ),
        InstanceState.REMOVING: frozenset({InstanceState.REMOVED}),
        InstanceState.REMOVED: frozenset(),
    },
    WorkState: {
        WorkState.QUEUED: frozenset({WorkState.RUNNING, WorkState.SUCCEEDED, WorkState.FAILED, WorkState.CANCELLED}),
        WorkState.RUNNING: frozenset({WorkState.SUCCEEDED, WorkState.FAILED, WorkState.CANCELLED}),
        WorkState.SUCCEEDED: frozenset(),
        WorkState.FAILED: frozenset(),
        WorkState.CANCELLED: frozenset(),
    },
    RevisionState: {
        RevisionState.QUEUED: frozenset({RevisionState.BUILDING, RevisionState.FAILED}),
        RevisionState.BUILDING: frozenset({RevisionState.READY, RevisionState.FAILED}),
        RevisionState.READY: frozenset(),
        RevisionState.FAILED: frozenset(),
    },
}


class ForbiddenTransition(Exception):
    """A move that the table does not allow: a defect, never a race."""


def move(row: Any, to: models.TextChoices, *, actor: str = "", **changes: Any) -> bool:
    """Compare-and-set `row.state` to `to`, with `changes` to other columns, and append an Event; one transaction.

    Returns True if this call won. False means that somebody moved the row meanwhile: read it again and decide anew.
    `row` keeps its old values in that case. actor: id of the person who asked, "" for the platform.
    Raises ForbiddenTransition when the table has no such arrow.
    """
    before = type(to)(row.state)
    if to not in TRANSITIONS[type(to)][before]:
        raise ForbiddenTransition(f"{type(row).__name__} {row.pk}: {before} → {to}")
    with transaction.atomic():
        if not type(row)._base_manager.filter(pk=row.pk, state=before).update(state=to, **changes):
            return False
        event = apps.get_model("tenants", "Event")
        event.record(row, before=before, after=to, actor=actor, reason=str(changes.get("state_reason", "")))
    row.state = to
    for name, value in changes.items():
        setattr(row, name, value)
    return True
