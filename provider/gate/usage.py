"""What the agent writes down of use, now and then: when programs last used their keys, and what went through. No Django."""

import logging
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

import psycopg

from provider.gate.drains import TABLE
from provider.gate.proxy import Proxy
from tenants.metering_sql import LOCK, RECORD, Reading, parameters

log = logging.getLogger("gate-agent")

EVERY_S = 20.0
METER_EVERY_S, LATE_S = 55.0, 60.0  # what was used is told of for a minute at least
# Mostly those are asked about that were used lately. What that misses, as the end of a long answer, is read this rarely.
METER_ALL_EVERY_S = 600.0
_USED = """
UPDATE tenants_appkey k SET last_used_at = used.at
FROM unnest(%(keys)s::text[], %(moments)s::timestamptz[]) AS used(sha256, at)
WHERE k.sha256 = used.sha256 AND (k.last_used_at IS NULL OR k.last_used_at < used.at)
"""


def report(connection: psycopg.Connection, proxy: Proxy, now: float) -> None:
    """One statement for all keys that were used, by whichever gate saw it last; nothing where none was.

    A database that takes no writes costs these dates alone. Raises ProxyUnavailable.
    """
    entries = proxy.entries("used")
    if not entries:
        return
    moments = [datetime.fromtimestamp(int(entry.value) * 60, UTC) for entry in entries]
    try:
        connection.execute(_USED, {"keys": [entry.key for entry in entries], "moments": moments})
    except psycopg.Error as error:
        log.warning("key_use_not_written error=%s", " ".join(str(error).split()))
        return
    for entry in entries:
        if int(entry.value) < int(now) // 60:  # else the next request would only put it there again
            proxy.drop("used", entry.key)


@dataclass
class Meter:
    """gate: this gate's name. Counts are the proxy's own; what they grew by is worked out where they are written down."""

    proxy: Proxy
    gate: str
    read_at: float = float("-inf")
    read_all_at: float = float("-inf")
    known: dict[str, tuple[int, int, int]] = field(default_factory=dict)

    def read(self, connection: psycopg.Connection) -> None:
        """About once a minute, of instances that had requests since; what fails comes next time. Raises ProxyUnavailable."""
        if time.monotonic() - self.read_at < METER_EVERY_S:
            return
        is_late = time.monotonic() - self.read_at > LATE_S
        self.read_at, at = time.monotonic(), datetime.now(UTC)
        lately = not is_late and self.read_at - self.read_all_at < METER_ALL_EVERY_S
        metered = self.proxy.metered(TABLE, lately=lately)
        counts = {key: (requests, incoming, out) for key, requests, incoming, out in metered}
        news = {key: found for key, found in counts.items() if self.known.get(key) != found}
        readings = [
            Reading(f"gate/{self.gate}/{key}", key, requests=requests, bytes_in=incoming, bytes_out=out)
            for key, (requests, incoming, out) in news.items()
        ]
        try:
            with connection.transaction():
                connection.execute(LOCK)
                if given := parameters(readings, at):
                    connection.execute(RECORD, given)
        except psycopg.Error as error:
            log.warning("not_metered error=%s", " ".join(str(error).split()))
            self.read_all_at = float("-inf")
            return
        self.known = self.known | counts if lately else counts
        self.read_all_at = self.read_all_at if lately else self.read_at
