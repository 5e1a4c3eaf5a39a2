"""When programs last used their keys: the proxy notes it once a minute and key, the agent writes it down. No Django."""

import logging
from datetime import UTC, datetime

import psycopg

from provider.gate.proxy import Proxy

log = logging.getLogger("gate-agent")

EVERY_S = 20.0
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
