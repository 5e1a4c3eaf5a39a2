"""Scheduled actions in the database: which an instance has, which are due, and each run from its claim to its end.

PostgreSQL alone says what ran. A due time becomes a run by one transaction that also moves the action on to its next
one, so a standstill, however long, is one run. `sent_at` is written before the request leaves: a worker that dies
before it leaves a run that somebody else does, one that dies after it a run that nobody repeats, since the app may have
done it (docs/decisions/0018). Whoever works on an action holds its advisory lock (tenants.reconcile.dispatch).
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import QuerySet

from apps_catalog import schedules
from apps_catalog.blueprint import spacefile_of
from tenants import metering
from tenants.live import announce
from tenants.models import Action, ActionRun, Instance, RunResult, RunTrigger, UsageEvent
from tenants.states import HELD, CloudState, InstanceState

KEPT_RUNS = 50  # of each action
ANSWER_LIMIT = 2_000
# How long an app may take to be there: to be woken, installed or brought to another version.
PATIENCE = timedelta(minutes=15)
# So long after it was sent the gate still knows what it passed on; its table keeps that for longer.
WITNESSED = timedelta(minutes=10)
PAUSED = "It was not done: the cloud or the app was paused."
LOST = "The worker that ran it ended meanwhile. It is not repeated, since the app may have done it."
_DOWN = (InstanceState.FAILED, InstanceState.STOPPED)
_GOING = (InstanceState.REMOVING, InstanceState.REMOVED)


@dataclass(frozen=True)
class Candidate:
    """cloud_id: so that no cloud takes all the places."""

    action_id: int
    cloud_id: str


@dataclass(frozen=True)
class Delivery:
    """What a run's request needs. mount: of the micro that declares it, "" for the primary. path: as the micro sees it.

    is_asleep: it must be woken first. sent_via: the gate at which its last worker died, "" if it was not sent before.
    """

    run_id: str
    cell: str
    instance_id: str
    host: str
    mount: str
    path: str
    key: str
    is_asleep: bool
    sent_via: str = ""


@dataclass(frozen=True)
class Outcome:
    """How a run ended; the fields are those of ActionRun."""

    result: RunResult
    http_status: int | None = None
    answer: str = ""
    error: str = ""
    duration_ms: int = 0


def align(instance: Instance, now: datetime) -> bool:
    """Give the instance the actions of its revision. What its owner chose stays with every action that stays.

    `instance` with its revision; in the transaction that installs it, or writes down that another version runs.
    Returns whether anything differed.
    """
    known = {action.key: action for action in instance.actions.select_for_update(no_key=True)}
    wanted = {action.key: action for action in _declared(instance, now)}
    gone = [action.pk for key, action in known.items() if key not in wanted]
    differs = bool(gone) and bool(Action.objects.filter(pk__in=gone).delete()[0])
    for key, new in wanted.items():
        if key not in known:
            new.save()
            differs = True
        elif _face(known[key]) != _face(new):
            _take_over(known[key], new, now)
            differs = True
    return differs


def _declared(instance: Instance, now: datetime) -> list[Action]:
    return [
        Action(
            instance=instance,
            key=action.id,
            micro=micro.name,
            name=action.name,
            description=action.description,
            path=action.path or "",
            default_interval=action.default_interval,
            counted_from=now,
            next_due=due_after(action.default_interval, now, now),
        )
        for micro in spacefile_of(instance.revision).micros
        for action in micro.actions
    ]


def _face(action: Action) -> tuple[str, ...]:
    return action.micro, action.name, action.description, action.path, action.default_interval


def _take_over(known: Action, new: Action, now: datetime) -> None:
    other_rhythm = known.chosen_interval != (known.interval or new.default_interval)
    known.micro, known.name, known.description = new.micro, new.name, new.description
    known.path, known.default_interval = new.path, new.default_interval
    if other_rhythm:
        start_counting(known, now)
    known.save()


def start_counting(action: Action, now: datetime) -> None:
    """From now on by the interval and the switch that it has. Not saved."""
    action.counted_from = now
    action.next_due = due_after(action.chosen_interval, now, now) if action.is_on else None


def due_after(interval: str, counted_from: datetime, after: datetime) -> datetime | None:
    """None for an interval that never comes: of a version from before such were refused."""
    try:
        return schedules.next_due(interval, counted_from, after)
    except ValueError:
        return None


# Runs that are at work somewhere come last: they matter only if their worker died. Then one of each cloud, then the
# second of each, so that nobody's hundred actions stand before somebody's only one.
_DUE = """
SELECT a.id, i.cloud_id FROM tenants_action a
JOIN tenants_instance i ON i.id = a.instance_id
LEFT JOIN tenants_actionrun r ON r.action_id = a.id AND r.finished_at IS NULL
WHERE a.id IN (
  SELECT id FROM tenants_action WHERE next_due <= %(now)s
  UNION SELECT action_id FROM tenants_actionrun WHERE finished_at IS NULL
) AND NOT a.id = ANY(%(beside)s)
ORDER BY (r.sent_at IS NOT NULL), row_number() OVER (PARTITION BY i.cloud_id ORDER BY a.next_due, a.id), a.next_due
LIMIT %(limit)s
"""


def due(now: datetime, limit: int, beside: Collection[int] = ()) -> list[Candidate]:
    """What is due or unfinished, without those in `beside`. Its cost goes by what is due, not by what there is."""
    with connection.cursor() as cursor:
        cursor.execute(_DUE, {"now": now, "limit": limit, "beside": list(beside)})
        return [Candidate(*row) for row in cursor.fetchall()]


@transaction.atomic
def claim(action_id: int, now: datetime) -> Delivery | None:
    """The run that is to be delivered now, None where there is none. The caller holds the action's lock.

    A run whose worker died is taken over; then what is due becomes a run. One that had been sent is only for the gate
    that had it, which tells whether the app got it; without that word it is lost.
    """
    rows = Action.objects.select_for_update(of=("self",), no_key=True).select_related("instance__cloud")
    action = rows.filter(pk=action_id).first()
    if action is None:
        return None
    run = action.runs.filter(finished_at__isnull=True).first()
    if run is not None and run.sent_at is not None and not _has_witness(run, action.instance, now):
        _end(run, action, Outcome(RunResult.LOST, error=LOST, duration_ms=_since(run.sent_at, now)), now)
        run = None
    if _is_paused(action.instance):
        _pass_over(action, run, now)
        return None
    run = run or _due_run(action, now)
    if run is None:
        return None
    if action.instance.state in _DOWN:
        _end(run, action, Outcome(RunResult.FAILED, error="The app was not running."), now)
        return None
    return _delivery(action, run)


def _has_witness(run: ActionRun, instance: Instance, now: datetime) -> bool:
    runs = not _is_paused(instance) and instance.state not in _DOWN
    return runs and run.sent_at is not None and now - run.sent_at < WITNESSED


def _is_paused(instance: Instance) -> bool:
    return instance.state in _GOING or instance.cloud.state != CloudState.ACTIVE


def _pass_over(action: Action, run: ActionRun | None, now: datetime) -> None:
    """Nothing is done meanwhile, and nothing made up afterwards. In a cloud that is held the first one that is left out
    stands among the runs, with the reason; one for each time that it is held."""
    cloud = action.instance.cloud
    is_held = cloud.state in HELD and action.instance.state not in _GOING
    why = f"{PAUSED} {cloud.state_reason}".rstrip() if is_held else PAUSED
    if run is None and is_held:
        newest = action.runs.order_by("-created_at", "-pk").first()
        if newest is None or not newest.error.startswith(PAUSED):
            run = _due_run(action, now)
    if run is not None:
        _end(run, action, Outcome(RunResult.FAILED, error=why), now)
    if action.next_due is not None and action.next_due <= now:
        action.next_due = due_after(action.chosen_interval, action.counted_from, now)
        action.save(update_fields=["next_due"])


def _due_run(action: Action, now: datetime) -> ActionRun | None:
    if action.next_due is None or action.next_due > now:
        return None
    due_at, action.next_due = action.next_due, due_after(action.chosen_interval, action.counted_from, now)
    action.save(update_fields=["next_due"])
    run, is_new = ActionRun.objects.get_or_create(
        action=action, due_at=due_at, trigger=RunTrigger.SCHEDULE, defaults={"created_at": now}
    )
    return run if is_new else None


def _delivery(action: Action, run: ActionRun) -> Delivery:
    micro = action.instance.micros.filter(name=action.micro).only("mount").first()
    return Delivery(
        run_id=run.pk,
        cell=action.instance.cloud.cell_id,
        instance_id=action.instance_id,
        host=action.instance.host,
        mount=micro.mount if micro else "",
        path=action.path,
        key=action.key,
        is_asleep=action.instance.state == InstanceState.ASLEEP,
        sent_via=run.sent_via,
    )


def mark_sent(delivery: Delivery, gate: str, now: datetime) -> bool:
    """From here on only this gate may get it again. False: it is over already."""
    if delivery.sent_via:
        return _open(delivery.run_id).exists()
    return _open(delivery.run_id).filter(sent_at__isnull=True).update(sent_at=now, sent_via=gate) == 1


def take_back(delivery: Delivery) -> None:
    """It did certainly not leave: whoever comes next sends it. What somebody else had sent before stays that."""
    if not delivery.sent_via:
        _open(delivery.run_id).update(sent_at=None, sent_via="")


def is_worth_waiting(run_id: str, now: datetime) -> bool:
    """Whether an app that is not there yet may still come in time for this run."""
    return _open(run_id).filter(created_at__gt=now - PATIENCE).exists()


@transaction.atomic
def finish(run_id: str, outcome: Outcome, now: datetime) -> bool:
    """Write down how it ended. False: that is known already, or the action is gone."""
    run = _open(run_id).first()
    if run is None:
        return False
    # Actions before their runs, everywhere: no deadlocks.
    rows = Action.objects.select_for_update(of=("self",), no_key=True).select_related("instance")
    action = rows.filter(pk=run.action_id).first()
    return action is not None and _end(run, action, outcome, now)


def _end(run: ActionRun, action: Action, outcome: Outcome, now: datetime) -> bool:
    ended = _open(run.pk).update(
        finished_at=now,
        result=outcome.result,
        http_status=outcome.http_status,
        answer=outcome.answer[:ANSWER_LIMIT].replace("\x00", "�"),
        error=outcome.error,
        duration_ms=outcome.duration_ms if run.sent_at else None,
    )
    if not ended:
        return False
    if run.sent_at is not None:
        metering.count(action.instance.cloud_id, action.instance_id, UsageEvent.RUN)
    older = action.runs.order_by("-created_at", "-pk").values_list("pk", flat=True)[KEPT_RUNS:]
    ActionRun.objects.filter(pk__in=list(older)).delete()
    announce(action.instance.cloud_id, action.instance_id)
    return True


def _open(run_id: str) -> QuerySet[ActionRun]:
    return ActionRun.objects.filter(pk=run_id, finished_at__isnull=True)


def _since(start: datetime, now: datetime) -> int:
    return max(0, int((now - start).total_seconds() * 1000))
