"""From counters that only grow to what each hour and month took: nothing lost and nothing twice, whoever restarts.

A counter's last value is kept and moves in the same transaction as what it grew by is added. So a reading that comes again
adds nothing, one that does not come is made up by the next, and a process that began anew counts from nothing.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from django.db import connection, transaction
from django.utils import timezone

from tenants.metering_sql import LOCK, MEASURES, RECORD, Reading, parameters
from tenants.models import (
    Cloud,
    LimitMark,
    LimitNotice,
    MeterReading,
    PlanPeriod,
    StatementLine,
    TrafficCap,
    UsageCount,
    UsageEvent,
    UsageHour,
    UsageMonth,
)

__all__ = ["MEASURES", "Reading", "count", "forget", "month_of", "prune", "record"]
KEEP_READINGS = timedelta(days=7)  # what was not read for so long is not there any more
KEEP_HOURS = timedelta(days=70)


def record(readings: Iterable[Reading], at: datetime | None = None) -> None:
    """Add what counters grew by since they were last read. Those whose owner has no row are passed over.

    at: when they were read (default: now). A reading no later than the source's last one is one that came again. It counts
    for the hour, the month and the plan of that moment; one for a month that is closed counts where the next one begins.
    """
    if given := parameters(readings, at or timezone.now()):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(LOCK)
            cursor.execute(RECORD, given)


def count(cloud_id: str, subject: str, what: UsageEvent) -> None:
    """One more of `what`, in the caller's transaction."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, [cloud_id, month_of(timezone.now()), subject, what])


def begin_plan(cloud: Cloud, before: str, plan: str) -> None:
    """In the caller's transaction: `cloud` has `plan` from now on. What is used falls to the plan of its moment."""
    PlanPeriod.objects.get_or_create(cloud=cloud, began_at=cloud.created_at, defaults={"plan": before})
    PlanPeriod.objects.update_or_create(cloud=cloud, began_at=timezone.now(), defaults={"plan": plan})


def month_of(at: datetime) -> datetime:
    """The first instant of its month, UTC."""
    return at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def prune() -> None:
    now = timezone.now()
    MeterReading.objects.filter(at__lt=now - KEEP_READINGS).delete()
    UsageHour.objects.filter(since__lt=now - KEEP_HOURS).delete()


def forget(cloud: Cloud) -> None:
    """All of it, when an account is erased."""
    for model in (UsageHour, UsageMonth, UsageCount, StatementLine, PlanPeriod, LimitMark, LimitNotice, TrafficCap):
        model.objects.filter(cloud=cloud).delete()


_COUNT = """
INSERT INTO tenants_usagecount AS t (cloud_id, since, subject, what, count) VALUES (%s, %s, %s, %s, 1)
ON CONFLICT (cloud_id, since, subject, what) DO UPDATE SET count = t.count + 1
"""
