"""The statement that counts, for the provider and for the gate's agent, which knows no Django. See tenants.metering."""

from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from datetime import datetime
from typing import Any

MEASURES = ("cpu_us", "memory_byte_s", "storage_byte_s", "requests", "bytes_in", "bytes_out")
# One writer at a time: two that read the same last value would both add what came after it.
LOCK = "SELECT pg_advisory_xact_lock(hashtext('freehold metering'))"


@dataclass(frozen=True)
class Reading:
    """What a counter of `source` stands at. owner: id of an instance, data server or build, or a collection's project id.

    cpu_us (microseconds), requests, bytes_in and bytes_out: since the source began. memory_bytes, storage_bytes: now.
    """

    source: str
    owner: str
    cpu_us: int = 0
    memory_bytes: int = 0
    storage_bytes: int = 0
    requests: int = 0
    bytes_in: int = 0
    bytes_out: int = 0


def parameters(readings: Iterable[Reading], at: datetime) -> dict[str, Any]:
    """For RECORD, in the transaction that holds LOCK. Empty where there is nothing to count."""
    columns = list(zip(*map(astuple, readings), strict=True))
    if not columns:
        return {}
    values = {field.name: list(column) for field, column in zip(fields(Reading), columns, strict=True)}
    return {**values, "at": at}


_GREW = ", ".join(
    f"CASE WHEN g.{name} >= coalesce(r.{name}, 0) THEN g.{name} - coalesce(r.{name}, 0) ELSE g.{name} END AS {name}"
    for name in ("cpu_us", "requests", "bytes_in", "bytes_out")
)
_LASTED = ", ".join(
    f"round(g.{name}s * coalesce(extract(epoch FROM %(at)s - r.at), 0))::bigint AS {name}_s"
    for name in ("memory_byte", "storage_byte")
)
_MEASURES = ", ".join(MEASURES)
_SUMS = ", ".join(f"sum({name}) AS {name}" for name in MEASURES)


def _add_to(table: str, span: str, source: str, *by: str) -> str:
    added = ", ".join(f"{name} = t.{name} + EXCLUDED.{name}" for name in MEASURES)
    named = "".join(f", {name}" for name in by)
    key = ", plan_since" if by else ""
    return f"""
        INSERT INTO {table} AS t (cloud_id, subject, since{named}, {_MEASURES})
        SELECT cloud_id, subject, date_trunc('{span}', moment, 'UTC'){named}, {_MEASURES} FROM {source}, counted
        ON CONFLICT (cloud_id, since, subject{key}) DO UPDATE SET {added}"""  # noqa: S608 - made of constants


RECORD = f"""
WITH counted AS (
    SELECT greatest(%(at)s, max(until)) AS moment FROM tenants_closedmonth
), given AS (
    SELECT * FROM unnest(
        %(source)s::text[], %(owner)s::text[], %(cpu_us)s::bigint[], %(memory_bytes)s::bigint[], %(storage_bytes)s::bigint[],
        %(requests)s::bigint[], %(bytes_in)s::bigint[], %(bytes_out)s::bigint[]
    ) AS g (source, owner, cpu_us, memory_bytes, storage_bytes, requests, bytes_in, bytes_out)
), whose AS (
    SELECT id AS owner, cloud_id, id AS subject FROM tenants_instance WHERE id = ANY(%(owner)s)
    UNION ALL SELECT id, cloud_id, 'data' FROM tenants_dataserver WHERE id = ANY(%(owner)s)
    UNION ALL SELECT project_id, cloud_id, 'data' FROM tenants_collection WHERE project_id = ANY(%(owner)s)
    UNION ALL SELECT r.id, c.id, 'builds' FROM apps_catalog_revision r JOIN apps_catalog_app a ON a.id = r.app_id
        JOIN tenants_cloud c ON c.owner_id = a.developer_id WHERE r.id = ANY(%(owner)s)
), grown AS (
    SELECT g.source, w.cloud_id, w.subject, {_GREW}, {_LASTED}
    FROM given g JOIN whose w USING (owner) LEFT JOIN tenants_meterreading r USING (source)
    WHERE r.at IS NULL OR r.at < %(at)s
), kept AS (
    INSERT INTO tenants_meterreading AS t (source, at, cpu_us, requests, bytes_in, bytes_out)
    SELECT source, %(at)s, g.cpu_us, g.requests, g.bytes_in, g.bytes_out FROM given g JOIN grown USING (source)
    ON CONFLICT (source) DO UPDATE SET at = EXCLUDED.at, cpu_us = EXCLUDED.cpu_us, requests = EXCLUDED.requests,
        bytes_in = EXCLUDED.bytes_in, bytes_out = EXCLUDED.bytes_out
), total AS (
    SELECT cloud_id, subject, {_SUMS} FROM grown GROUP BY cloud_id, subject
    HAVING ({" + ".join(f"sum({name})" for name in MEASURES)}) > 0
), planned AS (
    SELECT t.*, coalesce(p.began_at, c.created_at) AS plan_since, coalesce(p.plan, c.plan_id) AS plan
    FROM counted, total t JOIN tenants_cloud c ON c.id = t.cloud_id
    LEFT JOIN LATERAL (
        SELECT began_at, plan FROM tenants_planperiod
        WHERE cloud_id = t.cloud_id AND began_at <= greatest(moment, c.created_at)
        ORDER BY began_at DESC LIMIT 1
    ) p ON true
), hours AS ({_add_to("tenants_usagehour", "hour", "total")}
), marks AS (
    INSERT INTO tenants_limitmark (cloud_id) SELECT DISTINCT cloud_id FROM total WHERE bytes_out > 0 ORDER BY cloud_id
    ON CONFLICT DO NOTHING
)
{_add_to("tenants_usagemonth", "month", "planned", "plan_since", "plan")}
"""  # noqa: S608 - made of constants
