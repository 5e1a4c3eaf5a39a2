"""Falling asleep. A sleeping instance has no process and takes neither cpu nor memory of its cloud's quota.

No request is lost on the way down: the gates take the instance out of their maps and say so (`tenants.models.Drain`), and it
is stopped only when each of them has answered that nothing is open. Whoever comes meanwhile keeps it awake.
"""

import logging
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import (
    Case,
    DateTimeField,
    DurationField,
    Exists,
    ExpressionWrapper,
    F,
    IntegerField,
    OuterRef,
    Q,
    Value,
    When,
)
from django.db.models.functions import Coalesce, Greatest, Now
from django.utils import timezone

from tenants import feed, steps
from tenants.errors import Conflict, Refused
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
    User,
    Wanted,
)
from tenants.services import data_sleep
from tenants.services.drains import drop_drains, locked_drain
from tenants.services.instances import lock, moved, require_still
from tenants.states import CloudState, InstanceState, move
from tenants.tasks import enqueue_drains

log = logging.getLogger(__name__)

SLEEP_STEPS = (("close", "Let open requests come to an end"), ("stop", "Stop it"))
DRAIN_TIME = timedelta(seconds=20)
ASKED_DRAIN_TIME = timedelta(seconds=30)
# A gate that was silent for so long is gone for good, with all that was open through it.
GATE_FORGOTTEN_AFTER = timedelta(minutes=3)
AT_ONCE = 500
LONGEST_IDLE_S = 30 * 24 * 3600


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
    drop_drains(subject=locked.pk)
    steps.start(operation, "close")
    _drain(locked, None, operation)
    return operation


def choose_sleep_after(instance: Instance, seconds: int | None) -> None:
    """Its owner's choice of idle time: None as the plan says, 0 never. Raises Refused (field sleep_after_s)."""
    if seconds is not None and seconds > LONGEST_IDLE_S:
        raise Refused("invalid_sleep_after", f"At most {LONGEST_IDLE_S} seconds (30 days).", field="sleep_after_s")
    if Instance.objects.filter(pk=instance.pk).update(sleep_after_s=seconds):
        announce(instance.cloud_id, instance.pk)


def cancel_drain(instance_id: str, reason: str = "It was used again.") -> bool:
    """It stays awake after all. False where it was not about to fall asleep (any more)."""
    if not Drain.objects.filter(subject=instance_id).exists():
        return False
    with transaction.atomic():
        drain = locked_drain(instance_id)
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
    """(id, seconds after which it sleeps) of those that were idle for longer, the longest idle first."""
    rows = Instance.objects.filter(
        state=InstanceState.RUNNING,
        wanted=Wanted.RUNNING,
        observed_generation=F("generation"),
        cloud__state=CloudState.ACTIVE,
    )
    after = Coalesce("sleep_after_s", _by_plan(), Value(0), output_field=IntegerField())
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


def _by_plan() -> Case:
    """`by_plan_s` of a row's cloud. Overrides are few and asked for once: looked up for each row they cost most of all."""
    counting = Override.objects.filter(sleep_after_s__isnull=False, ended_at__isnull=True)
    counting = counting.filter(Q(ends_at__isnull=True) | Q(ends_at__gt=Now())).order_by("created_at", "id")
    of_cloud = dict(counting.values_list("cloud", "sleep_after_s"))  # the newest is the last
    clouds: dict[int | None, list[str]] = {}
    for cloud_id, seconds in of_cloud.items():
        clouds.setdefault(seconds, []).append(cloud_id)
    cases = (When(cloud__in=those, then=Value(seconds)) for seconds, those in clouds.items())
    return Case(*cases, default=F("cloud__plan__sleep_after_s"), output_field=IntegerField())


def _finish(subject: str) -> bool:
    with transaction.atomic():
        # The instance first, as everybody does who changes it; then its drain, so that nobody cancels it meanwhile.
        locked = _locked(subject)
        server = DataServer.objects.select_for_update(of=("self",), no_key=True).filter(pk=subject).first()
        drain = locked_drain(subject)
        if drain is None:
            return True
        answers = {answer.gate_id: answer for answer in drain.answers.all()}
        used = [answer.used_at for answer in answers.values() if answer.used_at]
        in_use = sum(answer.open for answer in answers.values())
        late = drain.idle_since is not None and any(at > drain.idle_since for at in used)
        if (locked is None or not _may_sleep(locked)) and (server is None or not data_sleep.may_sleep(server)):
            _give_up(drain, "Something else is going on with it.")
        elif drain.idle_since is not None and (in_use or late):
            _note_use(locked, server, timezone.now() if in_use else max(used))
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


def _note_use(locked: Instance | None, server: DataServer | None, at: datetime) -> None:
    if locked is not None:
        Instance.objects.filter(pk=locked.pk).update(last_used_at=at)
    elif server is not None:
        DataServer.objects.filter(pk=server.pk).update(used_at=at)


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


def last_use(instance: Instance) -> datetime:
    """When it was last used, or began to be awake."""
    return max(at for at in (instance.last_used_at, instance.awake_since, instance.created_at) if at is not None)
