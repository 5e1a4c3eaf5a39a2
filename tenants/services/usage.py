"""What a cloud used: a series over time and a sum for each app."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from django.db.models import Sum
from django.db.models.functions import Trunc
from django.utils import timezone

from tenants.errors import Refused
from tenants.metering import KEEP_HOURS, MEASURES, month_of
from tenants.models import BUILDS, DATA, Cloud, Instance, UsageCount, UsageHour, UsageMonth

TITLES = {DATA: "Your data", BUILDS: "Builds"}  # of what is no instance
MOST_POINTS = 750  # a month of hours
_GB_HOUR = 1_000_000_000 * 3600


class Span(StrEnum):
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


_USUAL = {Span.HOUR: timedelta(hours=47), Span.DAY: timedelta(days=30), Span.MONTH: timedelta(days=365)}


@dataclass(frozen=True)
class Used:
    """cpu_seconds; memory_gb_hours and storage_gb_hours with 10⁹ bytes to a GB; the rest are counts."""

    cpu_seconds: float
    memory_gb_hours: float
    storage_gb_hours: float
    requests: int
    bytes_in: int
    bytes_out: int


@dataclass(frozen=True)
class Point:
    """since: where it begins, UTC."""

    since: datetime
    used: Used


@dataclass(frozen=True)
class Part:
    """subject: an instance's id, "data" or "builds". title: what people call it. events: how often by `UsageEvent`."""

    subject: str
    title: str
    used: Used
    events: Mapping[str, int]


def series(
    cloud: Cloud, by: Span, since: datetime | None = None, until: datetime | None = None, subject: str = ""
) -> list[Point]:
    """One point for every span from the one that holds `since` to the one that holds `until`, empty ones too.

    Raises Refused naming `since` where there would be more than MOST_POINTS, or none; hours and days are kept for 70 days.
    """
    until = until or timezone.now()
    moments = _moments(by, since or until - _USUAL[by], until)
    model = UsageMonth if by is Span.MONTH else UsageHour
    rows = model.objects.filter(cloud=cloud, since__gte=moments[0], since__lte=until)
    if subject:
        rows = rows.filter(subject=subject)
    sums = rows.annotate(span=Trunc("since", by.value, tzinfo=UTC)).values_list("span").order_by("span")
    found = {span: dict(zip(MEASURES, used, strict=True)) for span, *used in sums.annotate(**_SUMS)}
    return [Point(moment, _used(found.get(moment, {}))) for moment in moments]


def parts(cloud: Cloud, month: datetime | None = None) -> list[Part]:
    """A month's use by subject, the greatest first. month: any moment in it; default: now."""
    since = month_of(month or timezone.now())
    sums = UsageMonth.objects.filter(cloud=cloud, since=since).values_list("subject").annotate(**_SUMS)
    rows = {subject: dict(zip(MEASURES, used, strict=True)) for subject, *used in sums}
    events: dict[str, dict[str, int]] = {}
    for row in UsageCount.objects.filter(cloud=cloud, since=since):
        events.setdefault(row.subject, {})[row.what] = row.count
    subjects = rows.keys() | events.keys()
    titles = {**TITLES, **dict(Instance.objects.filter(pk__in=subjects).values_list("pk", "alias"))}
    found = [
        Part(
            subject,
            titles.get(subject, subject),
            _used(rows.get(subject, {})),
            events.get(subject, {}),
        )
        for subject in subjects
    ]
    return sorted(found, key=lambda part: (-part.used.cpu_seconds, part.subject))


_SUMS = {name: Sum(name) for name in MEASURES}


def _used(sums: Mapping[str, int]) -> Used:
    of = {name: sums.get(name) or 0 for name in MEASURES}
    return Used(
        cpu_seconds=round(of["cpu_us"] / 1e6, 3),
        memory_gb_hours=round(of["memory_byte_s"] / _GB_HOUR, 6),
        storage_gb_hours=round(of["storage_byte_s"] / _GB_HOUR, 6),
        requests=of["requests"],
        bytes_in=of["bytes_in"],
        bytes_out=of["bytes_out"],
    )


def _moments(by: Span, since: datetime, until: datetime) -> list[datetime]:
    moment, moments = _begin(by, since), list[datetime]()
    if by is not Span.MONTH and moment < timezone.now() - KEEP_HOURS - timedelta(days=1):
        raise _refused(f"Hours and days are kept for {KEEP_HOURS.days} days; ask by month for what was before.")
    while moment <= until:
        moments.append(moment)
        if len(moments) > MOST_POINTS:
            raise _refused(f"That would be more than {MOST_POINTS} points; begin later, or ask by a longer span.")
        moment = _begin(by, moment + (timedelta(days=32) if by is Span.MONTH else timedelta(**{f"{by.value}s": 1})))
    if not moments:
        raise _refused("It begins after its end.")
    return moments


def _refused(why: str) -> Refused:
    return Refused("invalid_since", why, field="since")


def _begin(by: Span, at: datetime) -> datetime:
    if by is Span.MONTH:
        return month_of(at)
    at = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return at if by is Span.HOUR else at.replace(hour=0)
