"""Waking up, and making room for it: an instance that wakes takes cpu and memory of its cloud's quota again."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial

from django.db import transaction
from django.utils import timezone

from tenants import feed, metering, steps
from tenants.errors import QuotaExceeded, Refused
from tenants.live import announce
from tenants.models import Cloud, Drain, Instance, Operation, OperationKind, Quota, UsageEvent, User, Wanted
from tenants.services import data_sleep, quota
from tenants.services.instances import lock, moved, require_still
from tenants.services.sleeping import (
    cancel_drain,
    fall_asleep,
    finish_drains,
    last_use,
    never_sleeps,
    sleep_after_s,
)
from tenants.states import InstanceState, move
from tenants.tasks import enqueue_instance

WAKE_STEPS = (("room", "Make room in your cloud"), ("start", "Start it"), ("address", "Open its address"))
# A task that came sooner would only take the processor from what has begun already.
HINT_AFTER_S = 1.0
# Nobody is put to sleep for another one a moment after a request.
ROOM_IDLE = timedelta(seconds=3)


def wake(
    instance_id: str, *, actor: User | None = None, at_once: Callable[[str], object] | None = None
) -> InstanceState:
    """It is needed. Returns at once with the state that this led to; however many ask, it is started once.

    running or updating: it serves, also where it was about to fall asleep. waking: it comes up, by this call or by another.
    asleep: its cloud is full, and others that are idle are put to sleep for it: ask again in a moment. Any other state is
    left alone. Raises QuotaExceeded where nobody can make room, Conflict where the cloud is not active.

    at_once: begins to reconcile it and returns; called with its id after the commit that wakes it, once. A task follows
    anyway, for the case that this process dies.
    """
    if cancel_drain(instance_id):
        return InstanceState.RUNNING
    row = Instance.objects.filter(pk=instance_id).first()
    if row is None:
        return InstanceState.REMOVED
    if row.state != InstanceState.ASLEEP:
        return InstanceState(row.state)
    # Others may have made room by now; whoever waits here sees to it sooner than the next tick.
    finish_drains(cloud_id=row.cloud_id)
    with transaction.atomic():
        cloud = quota.lock(row.cloud_id)
        locked = lock(row)
        if locked.state == InstanceState.ASLEEP and _has_room(cloud, locked):
            _rise(locked, actor, at_once)
    return InstanceState(locked.state)


def wake_now(actor: User, instance: Instance) -> Operation:
    """Its owner wants it awake. Of one that serves: an operation that is over. Raises as `wake`, and Conflict else."""
    cancel_drain(instance.pk)
    with transaction.atomic():
        cloud = quota.lock(instance.cloud_id)
        locked = lock(instance)
        require_still(locked, (InstanceState.RUNNING, InstanceState.ASLEEP, InstanceState.WAKING))
        operation = steps.open_operation(OperationKind.WAKE, cloud, WAKE_STEPS, actor=actor, instance=locked)
        if locked.state == InstanceState.RUNNING:
            steps.succeed(operation)
        elif locked.state == InstanceState.WAKING:
            steps.finish(operation, "room")
        elif _has_room(cloud, locked):
            steps.finish(operation, "room")
            _rise(locked, actor, None)
        else:
            steps.start(operation, "room", "Others that are idle are put to sleep.")
    return operation


def go_on_waking() -> None:
    """Those whose owners wait for room: see whether it is there."""
    waiting = Operation.objects.filter(
        kind=OperationKind.WAKE, state__in=steps.OPEN, instance__state=InstanceState.ASLEEP
    )
    for operation in waiting.select_related("instance"):
        try:
            if operation.instance_id and wake(operation.instance_id) == InstanceState.WAKING:
                steps.finish(operation, "room")
        except Refused as refusal:
            steps.fail(operation, str(refusal))


def _has_room(cloud: Cloud, locked: Instance) -> bool:
    """False: others are on their way to sleep, and will have made room. Raises QuotaExceeded where that cannot be."""
    needed = Quota(locked.cpu_millis, locked.memory_mib, 0, 0)
    try:
        quota.require(cloud, needed)
    except QuotaExceeded:
        if not _make_room(cloud, needed):
            raise
        return False
    return True


def _make_room(cloud: Cloud, needed: Quota) -> bool:
    """Put the longest idle to sleep until it suffices. False, and nothing is begun, where even all would not suffice."""
    use, limit = quota.use_of(cloud), cloud.quota
    cpu = use.cpu_millis + needed.cpu_millis - limit.cpu_millis
    memory = use.memory_mib + needed.memory_mib - limit.memory_mib
    draining = set(Drain.objects.filter(cloud_id=cloud.pk).values_list("subject", flat=True))
    leaving: list[Instance] = []
    for row in _by_idleness(cloud.pk, draining):
        if cpu <= 0 and memory <= 0:
            break
        cpu, memory = cpu - row.cpu_millis, memory - row.memory_mib
        leaving.append(row)
    if cpu > 0 or memory > 0:
        return False
    idle_since = timezone.now() - ROOM_IDLE
    for row in leaving:
        if row.pk not in draining:
            fall_asleep(row.pk, idle_since=idle_since)
    return True


def _by_idleness(cloud_id: str, draining: Iterable[str]) -> list[Instance]:
    """Those on their way to sleep first, then those that may sleep, the longest idle first."""
    rows = Instance.objects.filter(cloud_id=cloud_id, state=InstanceState.RUNNING).select_related("cloud__plan")
    found = [row for row in rows.prefetch_related("micros") if not never_sleeps(row)]
    since = timezone.now() - ROOM_IDLE
    allowed = [row for row in found if row.pk in draining or (sleep_after_s(row) and last_use(row) <= since)]
    return sorted(allowed, key=lambda row: (row.pk not in draining, last_use(row)))


def _rise(locked: Instance, actor: User | None, at_once: Callable[[str], object] | None) -> None:
    move(
        locked,
        InstanceState.WAKING,
        actor=actor.pk if actor else "",
        wanted=Wanted.RUNNING,
        generation=locked.generation + 1,
        awake_since=timezone.now(),
        state_reason="",
        log_tail="",
    )
    locked.micros.filter(kind="process").update(phase="pending", upstream="", candidate="")
    if at_once is None:
        moved(locked)  # first in the queue
    else:
        transaction.on_commit(partial(at_once, locked.pk), robust=True)  # before everything else that waits for it
        feed.changed(locked.pk)
        announce(locked.cloud_id, locked.pk)
        enqueue_instance(locked.pk, after_s=HINT_AFTER_S)
    data_sleep.rouse(locked.cloud_id)
    metering.count(locked.cloud_id, locked.pk, UsageEvent.WAKE)
