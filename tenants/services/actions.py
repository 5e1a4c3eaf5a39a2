"""Scheduled actions, for their owner: what there is, when, whether, now, and what became of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.shortcuts import get_object_or_404
from django.utils import timezone

from apps_catalog.schedules import in_words, next_due
from tenants.errors import Conflict, Refused
from tenants.live import announce
from tenants.models import Action, ActionRun, Instance, RunTrigger, User
from tenants.reconcile.actions import start_counting
from tenants.states import HELD, CloudState, InstanceState
from tenants.tasks import enqueue_actions

INTERVAL_LIMIT = 400
_GOING = (InstanceState.REMOVING, InstanceState.REMOVED)


@dataclass(frozen=True)
class Scheduled:
    """An action as it is shown. last: its newest run, open ones too."""

    action: Action
    words: str
    last: ActionRun | None


def scheduled(instance: Instance) -> tuple[Scheduled, ...]:
    """In the Spacefile's order. Two queries, however many there are."""
    return with_last(list(instance.actions.all()))


def with_last(actions: list[Action]) -> tuple[Scheduled, ...]:
    newest = _newest(action.pk for action in actions) if actions else {}
    return tuple(Scheduled(action, in_words(action.chosen_interval), newest.get(action.pk)) for action in actions)


def _newest(ids: Iterable[int]) -> dict[int, ActionRun]:
    rows = ActionRun.objects.filter(action_id__in=list(ids)).order_by("action_id", "-created_at", "-pk")
    return {run.action_id: run for run in rows.distinct("action_id")}


@transaction.atomic
def change_action(
    actor: User, action: Action, *, interval: str | None = None, is_on: bool | None = None, own_interval: bool = False
) -> Action:
    """Another interval, or on or off. own_interval: back to the app's own; None leaves things as they are.

    Either is counted from now. Raises Refused (field interval), Conflict while the app is being removed.
    """
    locked = _locked(action)
    if locked.instance.state in _GOING:
        raise Conflict("instance_removed", "It is being removed.")
    before = (locked.interval, locked.is_on)
    if interval is not None:
        chosen = check_interval(interval)
        locked.interval = "" if chosen == locked.default_interval else chosen
    elif own_interval:
        locked.interval = ""
    if is_on is not None:
        locked.is_on = is_on
    if (locked.interval, locked.is_on) != before:
        start_counting(locked, timezone.now())
        locked.save()
        announce(locked.instance.cloud_id, locked.instance_id)
    return locked


def check_interval(text: str, now: datetime | None = None) -> str:
    """Raises Refused (field interval) with what is wrong with it."""
    text = " ".join(text.split())
    try:
        if len(text) > INTERVAL_LIMIT:
            raise ValueError(f"it has more than {INTERVAL_LIMIT} characters")
        moment = now or timezone.now()
        next_due(text, moment, moment)
    except (ValueError, OverflowError) as error:
        raise Refused("invalid_interval", f"The interval {_said(error)}.", field="interval") from error
    return text


def _said(error: Exception) -> str:
    words = str(error)
    return words if words.startswith("must") else f"is not one: {words}"


@transaction.atomic
def run_now(actor: User, action: Action) -> ActionRun:
    """Once, at once, whatever its interval says, which goes on undisturbed. Switched-off ones too.

    Raises Conflict while it is at work, or where nothing runs now.
    """
    locked = _locked(action)
    instance = locked.instance
    if instance.state in _GOING or instance.cloud.state != CloudState.ACTIVE:
        why = instance.cloud.state_reason if instance.cloud.state in HELD else ""
        said = "Nothing of this app is done now: it is being removed, or its cloud is paused."
        raise Conflict("instance_paused", f"{said} {why}".rstrip())
    if instance.state in (InstanceState.FAILED, InstanceState.STOPPED):
        raise Conflict("instance_not_running", "The app is not running; start it first.")
    if locked.runs.filter(finished_at__isnull=True).exists():
        raise Conflict("action_running", "It is being done just now.")
    now = timezone.now()
    run = ActionRun.objects.create(action=locked, trigger=RunTrigger.PERSON, due_at=now, created_at=now)
    announce(instance.cloud_id, instance.pk)
    enqueue_actions()
    return run


def _locked(action: Action) -> Action:
    rows = Action.objects.select_for_update(of=("self",), no_key=True).select_related("instance__cloud")
    return get_object_or_404(rows, pk=action.pk)  # an update may have taken it away meanwhile
