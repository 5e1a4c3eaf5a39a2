"""Owners are told at 80, 95 and 100 % of what their cloud may: once each, on the way up, in the console and by mail.

Whose traffic or limit changed is marked with the change (`LimitMark`), so that a look costs what has changed, however many
clouds there are. Traffic begins anew with each month; storage goes on.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from tenants.metering import month_of
from tenants.models import Limited
from tenants.states import DARK

STEPS = (80, 95, 100)  # per cent
AT_ONCE = 50_000


@dataclass(frozen=True)
class Filled:
    """limit_bytes None: without limit."""

    cloud_id: str
    used_bytes: int
    limit_bytes: int | None


@dataclass(frozen=True)
class Traffic(Filled):
    """Of this month. limit_bytes: of the plan, or less where the owner said so. is_capped: there the apps are to sleep.

    is_held: they do.
    """

    is_capped: bool
    is_held: bool

    @property
    def is_over(self) -> bool:
        return self.limit_bytes is not None and self.used_bytes >= self.limit_bytes


def mark(cloud_ids: Collection[str]) -> None:
    """Look at their traffic soon: it may be more now, or its limit another one. In the caller's transaction."""
    with connection.cursor() as cursor:
        cursor.execute(_MARK, [sorted(cloud_ids)])


def tell(what: Limited, filled: Sequence[Filled], now: datetime | None = None) -> None:
    """Write down which thresholds these are above now, with the mail that is due where one was not known yet.

    A threshold is told again when it was left and a new month began, or when the limit has grown since; a mail of several
    at once is that of the highest. Again, with the same figures: changes nothing.
    """
    if not filled:
        return
    now = now or timezone.now()
    given: dict[str, Any] = {
        "what": what,
        "now": now,
        "month": month_of(now),
        "steps": list(STEPS),
        "clouds": [one.cloud_id for one in filled],
        "used": [one.used_bytes for one in filled],
        "most": [one.limit_bytes for one in filled],
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_END, given)
        cursor.execute(_TELL, given)


@transaction.atomic
def look(now: datetime | None = None) -> list[str]:
    """Tell of traffic wherever it or its limit has changed. Ids of clouds whose apps are to sleep for it, or to wake.

    Those stay marked: the next look names them again, until they do. Killed, nothing of it has happened.
    """
    now = now or timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(_BEGIN_MONTH, {"now": now, "month": month_of(now)})
        cursor.execute(_TAKE, [AT_ONCE])
        marked = [row[0] for row in cursor.fetchall()]
        cursor.execute(f"{_TRAFFIC} {_WORTH_TELLING}", _of(marked, now, DARK))
        found = [Traffic(*row) for row in cursor.fetchall()]
    tell(Limited.TRAFFIC, found, now)
    to_settle = [one.cloud_id for one in found if one.is_held != (one.is_capped and one.is_over)]
    if to_settle:
        mark(to_settle)
    return to_settle


def traffic_of(cloud_id: str, now: datetime | None = None) -> Traffic:
    """Of one that is there, in any state."""
    now = now or timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(_TRAFFIC, _of([cloud_id], now))
        return Traffic(*cursor.fetchone())


def _of(cloud_ids: list[str], now: datetime, without: Sequence[str] = ()) -> dict[str, Any]:
    return {"clouds": cloud_ids, "now": now, "month": month_of(now), "without": list(without)}


_MARK = """
INSERT INTO tenants_limitmark (cloud_id) SELECT unnest(%s::text[]) ORDER BY 1 ON CONFLICT DO NOTHING
"""
# Sorted above, and by whoever else marks several: two that wait for each other's marks would not end.
_TAKE = """
DELETE FROM tenants_limitmark WHERE cloud_id IN
    (SELECT cloud_id FROM tenants_limitmark LIMIT %s FOR UPDATE SKIP LOCKED)
RETURNING cloud_id
"""
# Also who is held since before, and was closing when the month began: whoever keeps the account has traffic again.
_BEGIN_MONTH = """
WITH ended AS (
    UPDATE tenants_limitnotice SET ended_at = %(now)s, mail_at = NULL
    WHERE what = 'traffic' AND ended_at IS NULL AND since < %(month)s RETURNING cloud_id
)
INSERT INTO tenants_limitmark (cloud_id)
SELECT cloud_id FROM ended UNION SELECT cloud_id FROM tenants_cloudhold WHERE cause = 'traffic' AND since < %(month)s
ORDER BY 1 ON CONFLICT DO NOTHING
"""
# The limit is `Cloud.allowance.traffic_bytes`, or the owner's own where that is less.
_TRAFFIC = """
WITH traffic AS (
    SELECT c.id AS cloud_id,
        coalesce((
            SELECT sum(bytes_out) FROM tenants_usagemonth m WHERE m.cloud_id = c.id AND m.since = %(month)s
        ), 0)::bigint AS used,
        least(coalesce((
            SELECT o.traffic_bytes FROM tenants_override o
            WHERE o.cloud_id = c.id AND o.ended_at IS NULL AND (o.ends_at IS NULL OR o.ends_at > %(now)s)
                AND o.traffic_bytes IS NOT NULL
            ORDER BY o.created_at DESC, o.id DESC LIMIT 1
        ), p.traffic_bytes), t.most_bytes) AS most,
        t.cloud_id IS NOT NULL AS is_capped,
        EXISTS (SELECT 1 FROM tenants_cloudhold h WHERE h.cloud_id = c.id AND h.cause = 'traffic') AS is_held
    FROM tenants_cloud c JOIN tenants_plan p ON p.slug = c.plan_id LEFT JOIN tenants_trafficcap t ON t.cloud_id = c.id
    WHERE c.id = ANY(%(clouds)s) AND c.state <> ALL(%(without)s)
)
SELECT cloud_id, used, most, is_capped, is_held FROM traffic
"""
_WORTH_TELLING = """
WHERE used::numeric * 100 >= most * 80 OR is_held OR EXISTS (
    SELECT 1 FROM tenants_limitnotice n WHERE n.cloud_id = traffic.cloud_id AND n.what = 'traffic' AND n.ended_at IS NULL
)
"""
_GIVEN = """
WITH given AS (
    SELECT * FROM unnest(%(clouds)s::text[], %(used)s::bigint[], %(most)s::bigint[]) AS g (cloud_id, used, most)
)
"""
_END = f"""
{_GIVEN}
UPDATE tenants_limitnotice n SET ended_at = %(now)s, mail_at = NULL
FROM given g WHERE n.cloud_id = g.cloud_id AND n.what = %(what)s AND n.ended_at IS NULL
    AND (g.most IS NULL OR g.used::numeric * 100 < g.most::numeric * n.percent)
"""  # noqa: S608 - made of constants
_AGAIN = "n.since < EXCLUDED.since OR n.limit_bytes < EXCLUDED.limit_bytes"
_TELL = f"""
{_GIVEN}, reached AS (
    SELECT g.*, percent, percent = max(percent) OVER (PARTITION BY cloud_id) AS is_highest
    FROM given g, unnest(%(steps)s::int[]) AS percent WHERE g.used::numeric * 100 >= g.most::numeric * percent
)
INSERT INTO tenants_limitnotice AS n
    (cloud_id, what, percent, since, used_bytes, limit_bytes, told_at, mail_at, mail_tries)
SELECT cloud_id, %(what)s, percent, %(month)s, used, most, %(now)s, CASE WHEN is_highest THEN %(now)s END, 0 FROM reached
ON CONFLICT (cloud_id, what, percent) DO UPDATE SET
    ended_at = NULL, mail_tries = 0,
    since = CASE WHEN {_AGAIN} THEN EXCLUDED.since ELSE n.since END,
    told_at = CASE WHEN {_AGAIN} THEN EXCLUDED.told_at ELSE n.told_at END,
    used_bytes = CASE WHEN {_AGAIN} THEN EXCLUDED.used_bytes ELSE n.used_bytes END,
    limit_bytes = CASE WHEN {_AGAIN} THEN EXCLUDED.limit_bytes ELSE n.limit_bytes END,
    mail_at = CASE WHEN {_AGAIN} THEN EXCLUDED.mail_at ELSE n.mail_at END
WHERE n.ended_at IS NOT NULL
"""  # noqa: S608 - made of constants
