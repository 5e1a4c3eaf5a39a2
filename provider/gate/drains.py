"""What a gate says about instances that are to fall asleep, and when instances were last used. Plain SQL, no Django.

tenants/models/sleeping.py has the rows. A gate answers only for what it has taken out of its own maps, and counts what is
open only afterwards: a request that found the old entry was counted before it looked.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from psycopg import Connection

from provider.gate.feed import Placement
from provider.gate.proxy import Proxy

TABLE = "per_instance"
SEEN_EVERY_S = 20.0
USE_EVERY_S, LATE_S = 15.0, 30.0
# Of what is used all the time a row is written this rarely; less than the proxy tells of what was used (`counted_lately`).
_NOTED_EVERY_S = 50.0

_SEEN = """
INSERT INTO tenants_gate (id, cell_id, seen_at) VALUES (%s, %s, now())
ON CONFLICT (id) DO UPDATE SET cell_id = excluded.cell_id, seen_at = excluded.seen_at
"""
_DRAINS = "SELECT id, subject, cloud_id, keys FROM tenants_drain WHERE cell_id = %s"
# Nothing where somebody has cancelled it meanwhile.
_ANSWER = """
INSERT INTO tenants_drainanswer (drain_id, gate_id, open, used_at)
SELECT id, %(gate)s, %(open)s, %(used_at)s FROM tenants_drain WHERE id = %(drain)s FOR KEY SHARE
ON CONFLICT (drain_id, gate_id) DO UPDATE SET open = excluded.open, used_at = excluded.used_at
WHERE tenants_drainanswer.open <> excluded.open
"""
_USED = """
UPDATE tenants_instance i SET last_used_at = seen.at
FROM unnest(%(ids)s::text[], %(ats)s::timestamptz[]) AS seen(id, at)
WHERE i.id = seen.id AND (i.last_used_at IS NULL OR i.last_used_at < seen.at)
"""
_DATA_USED = """
UPDATE tenants_dataserver s SET used_at = seen.at
FROM (
  SELECT k.cloud_id, max(one.at) AS at FROM unnest(%(ids)s::text[], %(ats)s::timestamptz[]) AS one(id, at)
  JOIN tenants_collection k ON k.project_id = one.id GROUP BY k.cloud_id
) AS seen
WHERE s.cloud_id = seen.cloud_id AND (s.used_at IS NULL OR s.used_at < seen.at)
"""


@dataclass(frozen=True)
class Draining:
    """keys: under which the proxy counts its requests."""

    id: int
    subject: str
    cloud_id: str
    keys: list[str]


@dataclass
class Sleepers:
    """gate: this gate's name among those of the cell."""

    proxy: Proxy
    gate: str
    cell: str
    seen_at: float = float("-inf")
    told_at: float = float("-inf")
    noted: dict[str, float] = field(default_factory=dict)

    def show_up(self, connection: Connection) -> None:
        """Before anything is read: nobody may fall asleep without this gate's word from then on."""
        if time.monotonic() - self.seen_at > SEEN_EVERY_S:
            connection.execute(_SEEN, (self.gate, self.cell))
            self.seen_at = time.monotonic()

    def draining(self, connection: Connection) -> list[Draining]:
        """To be read before the change feed: what is known of them then is in the maps afterwards."""
        return [Draining(*row) for row in connection.execute(_DRAINS, (self.cell,)).fetchall()]

    def answer(self, connection: Connection, drains: Iterable[Draining], placements: Mapping[str, Placement]) -> None:
        """For each that has left the maps."""
        for drain in drains:
            if _is_placed(drain, placements):
                continue
            counted = [one for key in drain.keys for one in self.proxy.counted(TABLE, key)]
            used = max((one.used_at for one in counted), default=None)
            connection.execute(
                _ANSWER,
                {
                    "gate": self.gate,
                    "drain": drain.id,
                    "open": sum(one.open for one in counted),
                    "used_at": _time(used) if used is not None else None,
                },
            )

    def tell_use(self, connection: Connection) -> None:
        """When each instance was last used, now and then; an open stream is use."""
        if time.monotonic() - self.told_at < USE_EVERY_S:
            return
        # Whoever looked in time knows all that happened before.
        is_late = time.monotonic() - self.told_at > LATE_S
        self.told_at, now = time.monotonic(), time.time()
        counted = self.proxy.counted(TABLE) if is_late else self.proxy.counted_lately(TABLE)
        used = {one.key: now if one.open else one.used_at for one in counted}
        news = {key: at for key, at in used.items() if at - self.noted.get(key, 0.0) > _pause(now, at)}
        if news:
            seen = {"ids": list(news), "ats": [_time(at) for at in news.values()]}
            connection.execute(_USED, seen)
            connection.execute(_DATA_USED, seen)
        self.noted = {key: news.get(key, self.noted.get(key, 0.0)) for key in used}


def _is_placed(drain: Draining, placements: Mapping[str, Placement]) -> bool:
    """Files of an instance stay where they are: nothing is stopped of them."""
    nothing: Placement = frozenset()
    ways = placements.get(drain.subject, nothing) | placements.get(drain.cloud_id, nothing)
    return any(
        (name == "data" and key in drain.keys)
        or (name in ("upstreams", "waking") and key.startswith(f"{drain.subject}/") and not value.startswith("static:"))
        for name, key, value in ways
    )


def _pause(now: float, at: float) -> float:
    """The very last use is written at once, so that idle time counts from it."""
    return _NOTED_EVERY_S if now - at < _NOTED_EVERY_S else 0.5


def _time(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
