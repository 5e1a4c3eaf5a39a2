"""Figures of the whole installation. Of 100,000 clouds a count takes half a second, so a worker keeps them, and pages
read what it kept; where counting is cheap they count for themselves, to the second."""

import threading
import time
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db.models import Count
from django.utils import timezone

from tenants.models import Cloud, DeskDay, Instance, Operation, User
from tenants.services import desk
from tenants.states import CloudState, InstanceState, WorkState

REMEMBER_S = 15.0
FRESH = timedelta(minutes=10)  # what a worker kept counts for as long after it is due again
CHEAP_MS = 30
PART = 100  # counting may take this part of a worker's time at most
HISTORY_DAYS = 30
_lock = threading.Lock()


@dataclass(frozen=True)
class Figures:
    """at: when it was counted. by_state, clouds_by_state: the most first. succeeded, failed: operations of that day (UTC).
    joined: people who came that day."""

    at: datetime
    people: int
    joined: int
    succeeded: int
    failed: int
    clouds_by_state: tuple[tuple[str, int], ...]
    by_state: tuple[tuple[str, int], ...]
    loads: tuple[desk.Load, ...]
    income: tuple[desk.Income, ...]

    @property
    def clouds(self) -> int:
        return sum(number for state, number in self.clouds_by_state if state != CloudState.CLOSED)

    @property
    def running(self) -> int:
        return dict(self.by_state).get(InstanceState.RUNNING, 0)

    @property
    def installed(self) -> int:
        return sum(number for state, number in self.by_state if state != InstanceState.REMOVED)


_last: tuple[float, Figures] | None = None


def now() -> Figures:
    """The newest that can be had quickly; some minutes old where there is much to count."""
    global _last
    with _lock:
        if _last is None or time.monotonic() - _last[0] > REMEMBER_S:
            _last = time.monotonic(), _kept() or count()
        return _last[1]


def keep() -> None:
    """Count, as the day's row. Again: counts again, but for no more than a PART of the time."""
    row = DeskDay.objects.order_by("-day").first()
    if row and timezone.now() - row.counted_at < timedelta(milliseconds=row.took_ms * PART):
        return
    began = time.monotonic()
    found = count()
    values = {"counted_at": found.at, "took_ms": round((time.monotonic() - began) * 1000), "figures": as_json(found)}
    DeskDay.objects.update_or_create(day=found.at.astimezone(UTC).date(), defaults=values)


def history(days: int = HISTORY_DAYS) -> list[tuple[date, Figures | None]]:
    """One entry for each of the last days, the oldest first, today's as it is now; None: nobody counted that day."""
    today = timezone.now().astimezone(UTC).date()
    since = today - timedelta(days=days - 1)
    found = {row.day: _read(row) for row in DeskDay.objects.filter(day__gte=since)} | {today: now()}
    return [(day, found.get(day)) for day in (since + timedelta(days=n) for n in range(days))]


def count() -> Figures:
    at = timezone.now()
    midnight = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    of_today = Operation.objects.filter(finished_at__gte=midnight).values_list("state")
    ended = dict(of_today.order_by("state").annotate(Count("pk")))
    return Figures(
        at,
        User.objects.count(),
        User.objects.filter(date_joined__gte=midnight).count(),
        ended.get(WorkState.SUCCEEDED, 0),
        ended.get(WorkState.FAILED, 0),
        tuple(Cloud.objects.values_list("state").annotate(number=Count("pk")).order_by("-number", "state")),
        tuple(Instance.objects.values_list("state").annotate(number=Count("pk")).order_by("-number", "state")),
        tuple(desk.loads()),
        tuple(desk.income()),
    )


def _kept() -> Figures | None:
    row = DeskDay.objects.order_by("-day").first()
    if row is None or row.took_ms < CHEAP_MS:
        return None
    between = timedelta(milliseconds=row.took_ms * PART)
    return _read(row) if timezone.now() - row.counted_at < FRESH + between else None


def as_json(found: Figures) -> dict[str, Any]:
    """As a `DeskDay` keeps it."""
    told = asdict(found)
    del told["at"]
    return told


def _read(row: DeskDay) -> Figures | None:
    """None of one that another version wrote, with other figures."""
    try:
        return _figures(row.counted_at, row.figures)
    except (KeyError, TypeError):
        return None


def _figures(at: datetime, told: dict[str, Any]) -> Figures:
    return Figures(
        at,
        told["people"],
        told["joined"],
        told["succeeded"],
        told["failed"],
        tuple((state, number) for state, number in told["clouds_by_state"]),
        tuple((state, number) for state, number in told["by_state"]),
        tuple(desk.Load(**load) for load in told["loads"]),
        tuple(desk.Income(**income) for income in told["income"]),
    )
