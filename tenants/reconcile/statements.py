"""Closing a month: what its statements say is written down once, for all clouds together, and never changes again."""

import logging
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.utils import timezone

from tenants.metering import month_of
from tenants.metering_sql import LOCK, MEASURES
from tenants.models import BUILDS, DATA, ClosedMonth

log = logging.getLogger(__name__)
GRACE = timedelta(
    hours=1
)  # for readings that were made before midnight and come after; later ones count for the new month


def close_month(now: datetime | None = None) -> bool:
    """Close the month before, with all that are still open before it. Whether it was done now; again: changes nothing.

    One transaction under the lock of those who add: killed, nothing is closed, and the next minute does it.
    """
    now = now or timezone.now()
    until = month_of(now)
    since = month_of(until - timedelta(days=1))
    if now < until + GRACE or ClosedMonth.objects.filter(pk=since).exists():
        return False
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(LOCK)
        if ClosedMonth.objects.filter(since__gte=since).exists():
            return False
        cursor.execute(_CLOSE, {"until": until, "data": DATA, "builds": BUILDS})
        ClosedMonth.objects.create(since=since, until=until)
        log.info("month_closed since=%s lines=%d", since.date(), cursor.rowcount)
    return True


_NAMES = ", ".join(MEASURES)
_CLOSE = f"""
INSERT INTO tenants_statementline (cloud_id, since, plan_since, plan, plan_name, subject, title, {_NAMES})
SELECT m.cloud_id, m.since, m.plan_since, m.plan, coalesce(p.name, m.plan), m.subject,
    CASE m.subject WHEN %(data)s THEN 'Your data' WHEN %(builds)s THEN 'Builds' ELSE coalesce(i.alias, m.subject) END,
    {", ".join(f"m.{name}" for name in MEASURES)}
FROM tenants_usagemonth m
LEFT JOIN tenants_plan p ON p.slug = m.plan LEFT JOIN tenants_instance i ON i.id = m.subject
WHERE m.since < %(until)s AND m.since >= coalesce((SELECT max(until) FROM tenants_closedmonth), '-infinity')
"""  # noqa: S608 - made of constants
