"""Falling asleep and waking up. A sleeping instance has no process and takes neither cpu nor memory of its cloud's quota.

No request is lost on the way down: the gates take the instance out of their maps and say so (`tenants.models.Drain`), and it
is stopped only when each of them has answered that nothing is open. Whoever comes meanwhile keeps it awake.
"""

import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial

from django.db import transaction
from django.db.models import DateTimeField, DurationField, Exists, ExpressionWrapper, F, OuterRef, Q, Subquery, Value
from django.db.models.functions import Coalesce, Greatest, Now
from django.utils import timezone

from tenants import feed, metering, steps
from tenants.errors import Conflict, QuotaExceeded, Refused
from tenants.live import announce
from tenants.models import (
    Cloud,
    DataServer,
    Drain,
    DrainAnswer,
    Gate,
    Instance,
    InstanceMicro,
    Operation,
    OperationKind,
    Override,
    Quota,
    UsageEvent,
    User,
    Wanted,
)
from tenants.services import data_sleep, quota
from tenants.services.instances import lock, moved, require_still
from tenants.states import CloudState, InstanceState, move
from tenants.tasks import enqueue_drains, enqueue_instance

log = logging.getLogger(__name__)

SLEEP_STEPS = (("close", "Let open requests come to an end"), ("stop", "Stop it"))
WAKE_STEPS = (("room", "Make room in your cloud"), ("start", "Start it"), ("address", "Open its address"))
DRAIN_TIME = timedelta(seconds=20)
ASKED_DRAIN_TIME = timedelta(seconds=30)
# A gate that was silent for so long is gone for good, with all that was open through it.
GATE_FORGOTTEN_AFTER = timedelta(minutes=3)
AT_ONCE = 500
# A task that came sooner would only take the processor from what has begun already.
HINT_AFTER_S = 1.0
LONGEST_IDLE_S = 30 * 24 * 3600
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


def fall_asleep(instance_id: str, *, idle_since: datetime | None = None) -> bool:
    """Begin to put it to sleep: the gates let go of it first. idle_since: only if it has not been used after that.

    Returns False where it does not sleep now: not running steadily, nothing but files, or on its way there already.
    """
    with transaction.atomic():
        locked = _locked(instance_id)
        if locked is None or not _may_sleep(locked) or Drain.objects.filter(subject=locked.pk).exists():
            return False
        _drain(locked, idle_since, None)
    return True


@transaction.atomic
def sleep_now(actor: User, instance: Instance) -> Operation:
    """Its owner wants it asleep, used lately or not; what is open may end first. Of one asleep: an operation that is over.

    The operation fails, and it stays awake, where requests stay open. Raises Conflict in any state but running.
    """
    locked = lock(instance)
    require_still(locked, (InstanceState.RUNNING, InstanceState.ASLEEP))
    if locked.state == InstanceState.RUNNING and never_sleeps(locked):
        raise Conflict("nothing_to_sleep", "It consists of files only: nothing of it runs, so it never sleeps.")
    operation = steps.open_operation(OperationKind.SLEEP, locked.cloud, SLEEP_STEPS, actor=actor, instance=locked)
    if locked.state == InstanceState.ASLEEP:
        steps.succeed(operation)
        return operation
    Drain.objects.filter(subject=locked.pk).delete()
    steps.start(operation, "close")
    _drain(locked, None, operation)
    return operation


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


def choose_sleep_after(instance: Instance, seconds: int | None) -> None:
    """Its owner's choice of idle time: None as the plan says, 0 never. Raises Refused (field sleep_after_s)."""
    if seconds is not None and seconds > LONGEST_IDLE_S:
        raise Refused("invalid_sleep_after", f"At most {LONGEST_IDLE_S} seconds (30 days).", field="sleep_after_s")
    if Instance.objects.filter(pk=instance.pk).update(sleep_after_s=seconds):
        announce(instance.cloud_id, instance.pk)


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


def cancel_drain(instance_id: str, reason: str = "It was used again.") -> bool:
    """It stays awake after all. False where it was not about to fall asleep (any more)."""
    if not Drain.objects.filter(subject=instance_id).exists():
        return False
    with transaction.atomic():
        # Waits for whoever is just finishing it; then there is nothing left to delete.
        drain = Drain.objects.select_for_update(of=("self",), no_key=True).filter(subject=instance_id).first()
        if drain is None:
            return False
        _give_up(drain, reason)
    return True


def sleep_after_s(instance: Instance) -> int:
    """Idle seconds until it falls asleep; 0: never. `instance` with its cloud and plan."""
    return by_plan_s(instance.cloud) if instance.sleep_after_s is None else instance.sleep_after_s


def by_plan_s(cloud: Cloud) -> int:
    """What the plan says, or an operator who overruled it; 0: never."""
    return cloud.allowance.sleep_after_s or 0


def never_sleeps(instance: Instance) -> bool:
    """Nothing of it is a process: files are served without one."""
    return not any(micro.kind == "process" for micro in instance.micros.all())


def finish_drains(*, cloud_id: str | None = None) -> int:
    """End what the gates have answered about: asleep where nothing is open, awake where somebody uses it, or time is up.

    Returns how many are still to come. Of one cloud, or of all. Repeating is safe.
    """
    drains = Drain.objects.order_by("id") if cloud_id is None else Drain.objects.filter(cloud_id=cloud_id)
    subjects = list(drains.values_list("subject", flat=True))
    return sum(not _finish(subject) for subject in subjects)


def look_for_sleepers() -> int:
    """Begin to put to sleep whatever was idle for long enough, over all cells. Returns how many."""
    DrainAnswer.objects.exclude(drain__in=Drain.objects.all()).delete()
    now = timezone.now()
    begun = sum(
        fall_asleep(instance_id, idle_since=now - timedelta(seconds=after_s)) for instance_id, after_s in _idle()
    )
    for server in data_sleep.idle():
        begun += _drain_data(server)
    return begun


def _idle() -> list[tuple[str, int]]:
    """(id, seconds after which it sleeps) of those that were idle for longer, in one query."""
    rows = Instance.objects.filter(
        state=InstanceState.RUNNING,
        wanted=Wanted.RUNNING,
        observed_generation=F("generation"),
        cloud__state=CloudState.ACTIVE,
    )
    overruled = Override.objects.filter(cloud=OuterRef("cloud"), sleep_after_s__isnull=False, ended_at__isnull=True)
    overruled = overruled.filter(Q(ends_at__isnull=True) | Q(ends_at__gt=Now())).order_by("-created_at", "-id")
    by_plan = Subquery(overruled.values("sleep_after_s")[:1])
    after = Coalesce("sleep_after_s", by_plan, "cloud__plan__sleep_after_s", Value(0))
    rows = rows.annotate(after=after).exclude(after=0)
    awake = Coalesce("awake_since", "created_at")
    second = Value(timedelta(seconds=1), output_field=DurationField())
    due = ExpressionWrapper(
        Greatest(Coalesce("last_used_at", awake), awake) + F("after") * second, output_field=DateTimeField()
    )
    processes = InstanceMicro.objects.filter(instance=OuterRef("pk"), kind="process")
    draining = Drain.objects.filter(subject=OuterRef("pk"))
    rows = rows.annotate(due=due).filter(Exists(processes), ~Exists(draining), due__lte=Now())
    return list(rows.order_by("due").values_list("pk", "after")[:AT_ONCE])


def _finish(subject: str) -> bool:
    with transaction.atomic():
        # The instance first, as everybody does who changes it; then its drain, so that nobody cancels it meanwhile.
        locked = _locked(subject)
        server = DataServer.objects.select_for_update(of=("self",), no_key=True).filter(pk=subject).first()
        drain = Drain.objects.select_for_update(of=("self",), no_key=True).filter(subject=subject).first()
        if drain is None:
            return True
        answers = {answer.gate_id: answer for answer in drain.answers.all()}
        used = [answer.used_at for answer in answers.values() if answer.used_at]
        in_use = sum(answer.open for answer in answers.values())
        late = drain.idle_since is not None and any(at > drain.idle_since for at in used)
        if (locked is None or not _may_sleep(locked)) and (server is None or not data_sleep.may_sleep(server)):
            _give_up(drain, "Something else is going on with it.")
        elif drain.idle_since is not None and (in_use or late):
            _note_use(locked, server)
            _give_up(drain, "It is in use.")
        elif _is_quiet(drain, {gate for gate, answer in answers.items() if not answer.open}):
            _lie_down(drain, locked, server)
        elif drain.until <= timezone.now():
            _give_up(drain, _why_awake(in_use))
        else:
            return False
    return True


def _is_quiet(drain: Drain, silent: set[str]) -> bool:
    """Every gate of the cell has let go of it. Without any gate nobody can say so."""
    since = timezone.now() - GATE_FORGOTTEN_AFTER
    gates = set(Gate.objects.filter(cell_id=drain.cell_id, seen_at__gt=since).values_list("pk", flat=True))
    return bool(gates) and gates <= silent


def _why_awake(in_use: int) -> str:
    if in_use:
        return f"It is still in use: {in_use} request{'s' if in_use != 1 else ''} or streams are open."
    return "Not every gate has answered that nothing is open, so it stays awake."


def _lie_down(drain: Drain, locked: Instance | None, server: DataServer | None) -> None:
    operation = drain.operation
    drain.delete()
    if locked is not None:
        move(locked, InstanceState.ASLEEP, wanted=Wanted.ASLEEP, generation=locked.generation + 1, state_reason="")
        locked.micros.update(upstream="", candidate="")
        steps.finish(operation, "close")
        moved(locked)
        log.info("asleep cloud=%s instance=%s", locked.cloud_id, locked.pk)
    elif server is not None:
        data_sleep.lie_down(server)


def _give_up(drain: Drain, reason: str) -> None:
    steps.fail(drain.operation, reason)
    drain.delete()
    _tell_gates(drain)


def _tell_gates(drain: Drain) -> None:
    if drain.subject.startswith("dat"):
        feed.data_changed(drain.cloud_id)
    else:
        feed.changed(drain.subject)


def _note_use(locked: Instance | None, server: DataServer | None) -> None:
    now = timezone.now()
    if locked is not None:
        Instance.objects.filter(pk=locked.pk).update(last_used_at=now)
    elif server is not None:
        DataServer.objects.filter(pk=server.pk).update(used_at=now)


def _drain(locked: Instance, idle_since: datetime | None, operation: Operation | None) -> Drain:
    drain = Drain.objects.create(
        subject=locked.pk,
        cloud_id=locked.cloud_id,
        cell_id=locked.cloud.cell_id,
        keys=[locked.pk],
        idle_since=idle_since,
        until=timezone.now() + (DRAIN_TIME if idle_since else ASKED_DRAIN_TIME),
        operation=operation,
    )
    _tell_gates(drain)
    enqueue_drains()
    return drain


def _drain_data(server: DataServer) -> bool:
    with transaction.atomic():
        locked = (
            DataServer.objects.select_for_update(of=("self",), no_key=True).select_related("cloud").get(pk=server.pk)
        )
        if not data_sleep.may_sleep(locked) or Drain.objects.filter(subject=locked.pk).exists():
            return False
        drain = Drain.objects.create(
            subject=locked.pk,
            cloud_id=locked.cloud_id,
            cell_id=locked.cloud.cell_id,
            keys=list(locked.cloud.collections.values_list("project_id", flat=True)),
            idle_since=data_sleep.idle_since(),
            until=timezone.now() + DRAIN_TIME,
        )
        _tell_gates(drain)
        enqueue_drains()
    return True


def _locked(instance_id: str) -> Instance | None:
    rows = Instance.objects.select_for_update(of=("self",), no_key=True).select_related("cloud__plan", "app")
    return rows.filter(pk=instance_id).first()


def _may_sleep(locked: Instance) -> bool:
    return (
        locked.state == InstanceState.RUNNING
        and locked.wanted == Wanted.RUNNING
        and locked.generation == locked.observed_generation
        and locked.cloud.state == CloudState.ACTIVE
        and not never_sleeps(locked)
    )


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


def last_use(instance: Instance) -> datetime:
    """When it was last used, or began to be awake."""
    return max(at for at in (instance.last_used_at, instance.awake_since, instance.created_at) if at is not None)


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
