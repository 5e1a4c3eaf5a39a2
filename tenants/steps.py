"""Operations and their steps as they go; the only writer of both."""

import logging
import random
from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from apps_catalog.models import Revision
from tenants import logs
from tenants.live import announce
from tenants.models import Cloud, Collection, Instance, Operation, OperationKind, OperationStep, User
from tenants.states import WorkState, move

log = logging.getLogger(__name__)

Titles = Sequence[tuple[str, str]]  # (name for programs, title for people)
OPEN = (WorkState.QUEUED, WorkState.RUNNING)
MAX_ATTEMPTS = 12
LONGEST_WAIT_S = 30.0


def open_operation(
    kind: OperationKind,
    cloud: Cloud,
    steps: Titles,
    *,
    actor: User | None,
    instance: Instance | None = None,
    revision: Revision | None = None,
    collection: Collection | None = None,
    done: Sequence[str] = (),
) -> Operation:
    """Write an operation with its steps; those named in `done` are over already (the caller's transaction did them)."""
    now = timezone.now()
    operation = Operation.objects.create(
        kind=kind,
        cloud=cloud,
        instance=instance,
        revision=revision,
        collection=collection,
        actor=actor,
        generation=instance.generation if instance else cloud.generation,
    )
    OperationStep.objects.bulk_create(
        OperationStep(
            operation=operation,
            position=position,
            name=name,
            title=title,
            state=WorkState.SUCCEEDED if name in done else WorkState.QUEUED,
            started_at=now if name in done else None,
            finished_at=now if name in done else None,
        )
        for position, (name, title) in enumerate(steps)
    )
    announce(cloud.pk, operation.pk)
    return operation


def current(**whose: object) -> Operation | None:
    """The newest operation that is not over, of `instance=`, `revision=` or `cloud=…, instance=None`."""
    return Operation.objects.filter(state__in=OPEN, **whose).order_by("-created_at").first()


def start(operation: Operation | None, name: str, detail: str = "") -> None:
    """The step is being worked on. Repeating it, or naming a step that is over, changes nothing."""
    if operation is None:
        return
    now = timezone.now()
    with transaction.atomic():
        if operation.state == WorkState.QUEUED:
            move(operation, WorkState.RUNNING, started_at=now)
        step = operation.steps.filter(name=name).first()
        if step is None or step.state not in OPEN:
            return
        if step.state == WorkState.QUEUED:
            move(step, WorkState.RUNNING, started_at=now, detail=detail)
        elif step.detail != detail:
            OperationStep.objects.filter(pk=step.pk, state=WorkState.RUNNING).update(detail=detail)
        else:
            return
        announce(operation.cloud_id, operation.pk)


def finish(operation: Operation | None, name: str) -> None:
    """The step is done. Repeating it changes nothing."""
    if operation is None:
        return
    step = operation.steps.filter(name=name, state__in=OPEN).first()
    if step is not None:
        now = timezone.now()
        started = step.started_at or now
        move(step, WorkState.SUCCEEDED, started_at=started, finished_at=now, detail="")
        announce(operation.cloud_id, operation.pk)


def succeed(operation: Operation | None) -> None:
    """Everything is done, whatever steps were not seen one by one."""
    if operation is None or operation.state not in OPEN:
        return
    with transaction.atomic():
        for step in operation.steps.filter(state__in=OPEN):
            finish(operation, step.name)
        _end(operation, WorkState.SUCCEEDED)


def fail(operation: Operation | None, reason: str) -> None:
    """It will not go on by itself. The step at work carries the reason, later ones are cancelled."""
    if operation is None or operation.state not in OPEN:
        return
    with transaction.atomic():
        steps = list(operation.steps.filter(state__in=OPEN).order_by("position"))
        if steps:
            move(steps[0], WorkState.FAILED, finished_at=timezone.now(), detail=reason)
        _cancel_steps(steps[1:])
        _end(operation, WorkState.FAILED, error=reason)


def cancel(operation: Operation | None, reason: str) -> None:
    """Something newer made it pointless."""
    if operation is None or operation.state not in OPEN:
        return
    with transaction.atomic():
        _cancel_steps(list(operation.steps.filter(state__in=OPEN)))
        _end(operation, WorkState.CANCELLED, error=reason)


def postpone(operation: Operation, why: str, retry_after_s: float | None, *, forever: bool = False) -> bool:
    """A temporary error: try again later, with growing waits. False when it was tried often enough."""
    attempts = operation.attempts + 1
    if attempts > MAX_ATTEMPTS and not forever:
        return False
    wait_s = min(LONGEST_WAIT_S, 0.5 * 2 ** min(attempts, 10)) * random.uniform(0.8, 1.2)  # noqa: S311 (jitter)
    if retry_after_s is not None:
        wait_s = max(wait_s, min(retry_after_s, LONGEST_WAIT_S))
    due = timezone.now() + timedelta(seconds=wait_s)
    Operation.objects.filter(pk=operation.pk).update(attempts=attempts, not_before=due)
    operation.attempts, operation.not_before = attempts, due
    operation.steps.filter(state=WorkState.RUNNING).update(detail=f"Will be tried again: {why}")
    with logs.about(cloud=operation.cloud_id, instance=operation.instance_id, operation=operation.pk):
        log.warning("postponed attempts=%s wait_s=%.1f why=%s", attempts, wait_s, why)
    announce(operation.cloud_id, operation.pk)
    return True


def is_due(operation: Operation | None) -> bool:
    return operation is None or operation.not_before is None or operation.not_before <= timezone.now()


def _cancel_steps(steps: Sequence[OperationStep]) -> None:
    for step in steps:
        move(step, WorkState.CANCELLED, finished_at=timezone.now())


def _end(operation: Operation, to: WorkState, **changes: str) -> None:
    move(operation, to, finished_at=timezone.now(), not_before=None, **changes)
    with logs.about(cloud=operation.cloud_id, instance=operation.instance_id, operation=operation.pk):
        log.info("operation_over kind=%s state=%s tries=%s", operation.kind, to, operation.attempts + 1)
    announce(operation.cloud_id, operation.pk)
