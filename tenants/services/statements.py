"""What a cloud used in a month, by plan and by app, in whole units: what an invoice of usage would have to say."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from tenants.metering import MEASURES, month_of
from tenants.models import ClosedMonth, Cloud, Instance, Plan, StatementLine, UsageMonth
from tenants.services.usage import TITLES

Units = Mapping[str, int]  # by MEASURES


@dataclass(frozen=True)
class Line:
    """subject: an instance's id, "data" or "builds". title: what people call it; of a closed month what they called it."""

    subject: str
    title: str
    units: Units


@dataclass(frozen=True)
class Period:
    """What was used under one plan. since: when the cloud came to it, which may be before the month."""

    plan: str
    plan_name: str
    since: datetime
    lines: tuple[Line, ...]

    @property
    def total(self) -> Units:
        return _total(line.units for line in self.lines)


@dataclass(frozen=True)
class Statement:
    """since: the month's first instant, UTC. closed_at: since when it says so for good; None while it grows."""

    since: datetime
    closed_at: datetime | None
    periods: tuple[Period, ...]

    @property
    def total(self) -> Units:
        return _total(period.total for period in self.periods)


@dataclass(frozen=True)
class Closed:
    """Which months are closed: all up to the last of these, as (first instant, when it was closed), the newest first."""

    months: tuple[tuple[datetime, datetime], ...]

    def of(self, since: datetime) -> datetime | None:
        """When the month that begins at `since` was closed: a month without use is closed with the next one."""
        return min((at for month, at in self.months if month >= since), default=None)


def closed() -> Closed:
    return Closed(tuple(ClosedMonth.objects.order_by("-since").values_list("since", "closed_at")))


def months(cloud: Cloud) -> "QuerySet[UsageMonth, datetime]":
    """First instants of those in which it used something, the newest first."""
    return UsageMonth.objects.filter(cloud=cloud).order_by("-since").values_list("since", flat=True).distinct()


def statement(cloud: Cloud, since: datetime) -> Statement | None:
    """Of the month that begins at `since`. None where nothing was used in it."""
    closed_at = closed().of(since)
    rows = _closed_lines(cloud, since) if closed_at else _open_lines(cloud, since)
    if not rows:
        return None
    periods: dict[tuple[datetime, str, str], list[Line]] = {}
    for row, plan_name, title in rows:
        units = {name: int(getattr(row, name)) for name in MEASURES}
        periods.setdefault((row.plan_since, row.plan, plan_name), []).append(Line(row.subject, title, units))
    return Statement(
        since,
        closed_at,
        tuple(Period(plan, name, began, tuple(lines)) for (began, plan, name), lines in sorted(periods.items())),
    )


def month_named(text: str) -> datetime | None:
    """The first instant of “2026-11”; None for anything else."""
    try:
        found = datetime.strptime(f"{text} +0000", "%Y-%m %z")
    except ValueError:
        return None
    return month_of(found) if f"{found:%Y-%m}" == text else None


_Row = tuple[UsageMonth | StatementLine, str, str]


def _closed_lines(cloud: Cloud, since: datetime) -> list[_Row]:
    rows = StatementLine.objects.filter(cloud=cloud, since=since).order_by("plan_since", "title", "subject")
    return [(row, row.plan_name, row.title) for row in rows]


def _open_lines(cloud: Cloud, since: datetime) -> list[_Row]:
    rows = list(UsageMonth.objects.filter(cloud=cloud, since=since))
    plans = dict(Plan.objects.filter(pk__in={row.plan for row in rows}).values_list("pk", "name"))
    subjects = {row.subject for row in rows}
    titles = {**TITLES, **dict(Instance.objects.filter(pk__in=subjects).values_list("pk", "alias"))}
    found: list[_Row] = [(row, plans.get(row.plan, row.plan), titles.get(row.subject, row.subject)) for row in rows]
    return sorted(found, key=lambda one: (one[0].plan_since, one[2], one[0].subject))


def _total(units: Iterable[Units]) -> Units:
    every = list(units)
    return {name: sum(one[name] for one in every) for name in MEASURES}
