"""What the gate's agent reads of the database: plain SQL, no Django. tenants/models/gate.py explains the cursor."""

from dataclasses import dataclass, field
from datetime import datetime

from psycopg import Connection, IsolationLevel

from provider.gate.entry import HostEntry

# The entries of one instance, or of one cloud's data, in the proxy's maps, as (map, key, value).
Placement = frozenset[tuple[str, str, str]]
PLACED = (
    *("upstreams", "waking", "mounts", "moving", "hosts"),
    "classes",  # feed_limits
    *("data", "servers", "sign", "fresh", "datakeys"),  # feed_data
    *("appkeys", "guests", "public"),  # feed_access
)

# An instance that is being updated answers for as long as its old processes do.
_OPEN_STATES = ["running", "updating"]
# Files are served also while its processes are not there.
_FILES_STATES = [*_OPEN_STATES, "asleep", "waking"]
# Its new process may be tried before the cluster calls it ready.
_COMING_STATES = ["installing", "updating", "waking"]

# What has an address: in this gate's cell, and not in a cloud that closes.
_HOSTS = """
SELECT i.host, i.id FROM tenants_instance i JOIN tenants_cloud c ON c.id = i.cloud_id
WHERE i.state <> 'removed' AND c.cell_id = %(cell)s AND c.state NOT IN ('closing', 'closed')
  AND (%(ids)s::text[] IS NULL OR i.id = ANY(%(ids)s))
"""
_MICROS = """
SELECT m.instance_id, m.mount, m.upstream, m.candidate, m.serve, i.state,
  EXISTS (SELECT 1 FROM tenants_drain d WHERE d.subject = i.id) AS is_draining
FROM tenants_instancemicro m JOIN tenants_instance i ON i.id = m.instance_id JOIN tenants_cloud c ON c.id = i.cloud_id
WHERE i.state <> 'removed' AND c.cell_id = %(cell)s AND c.state NOT IN ('closing', 'closed')
  AND (%(ids)s::text[] IS NULL OR i.id = ANY(%(ids)s))
"""
_REVOKED = (
    "SELECT sid FROM tenants_revokedsession WHERE until > now() AND (%(sids)s::text[] IS NULL OR sid = ANY(%(sids)s))"
)
_SETTLED = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
_CHANGES = """
SELECT id, txid, kind, key, created_at FROM tenants_gatechange
WHERE txid >= %(txid)s AND NOT id = ANY(%(seen)s::bigint[]) ORDER BY txid, id LIMIT %(limit)s
"""
LIMIT = 5_000


@dataclass(frozen=True)
class Cursor:
    """All changes of transactions before `txid` were read. `seen`: of later ones, those read already, id → txid.

    A long transaction holds `txid` back but never what others have committed: their changes are read at once and
    remembered in `seen`, so that a revocation waits for nobody.
    """

    txid: int
    seen: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Changes:
    """instances, clouds (their data), sessions: ids whose rows must be read again. oldest: when the first was written."""

    instances: list[str]
    clouds: list[str]
    sessions: list[str]
    oldest: datetime | None


@dataclass(frozen=True)
class Snapshot:
    """Everything the proxy must know, and the cursor from which changes follow."""

    placements: dict[str, Placement]
    revoked: dict[str, str]
    cursor: Cursor


def load_all(connection: Connection, cell: str) -> Snapshot:
    """Of one cell. One transaction, one view of the database. The connection must be in autocommit mode."""
    connection.isolation_level = IsolationLevel.REPEATABLE_READ
    try:
        with connection.transaction():
            cursor = Cursor(_settled(connection))
            return Snapshot(load_placements(connection, cell, None), load_revoked(connection, None), cursor)
    finally:
        connection.isolation_level = None


def load_placements(connection: Connection, cell: str, ids: list[str] | None) -> dict[str, Placement]:
    """Of these instances of the cell, or of all. Removed ones, and those of closed accounts, are missing.

    Maps: hosts (host → entry.py; feed_data.with_data and feed_access.with_access add the rest), and of micros, by
    `<instance>/<mount>`: mounts, upstreams (of mounted ones; the primary's stands with the host) and waking.
    """
    found: dict[str, set[tuple[str, str, str]]] = {}
    micros = connection.execute(_MICROS, {"cell": cell, "ids": ids}).fetchall()
    primary: dict[str, str] = {}
    mounted: set[str] = set()
    for instance_id, mount, upstream, candidate, serve, state, is_draining in micros:
        entries = found.setdefault(instance_id, set())
        place = f"{instance_id}/{mount}"
        is_open = state in _FILES_STATES if serve else state in _OPEN_STATES and not is_draining
        where = upstream_of(upstream, serve) if is_open else ""
        if mount:
            mounted.add(instance_id)
            entries.add(("mounts", place, "1"))
        if where and mount:
            entries.add(("upstreams", place, where))
        elif where:
            primary[instance_id] = where
        if candidate and not upstream and state in _COMING_STATES:
            entries.add(("waking", place, candidate))
    for host, instance_id in connection.execute(_HOSTS, {"cell": cell, "ids": ids}).fetchall():
        entry = HostEntry(instance_id, mounted=instance_id in mounted, upstream=primary.get(instance_id, ""))
        found.setdefault(instance_id, set()).add(("hosts", host, entry.line()))
    return {instance_id: frozenset(entries) for instance_id, entries in found.items()}


def load_revoked(connection: Connection, sids: list[str] | None) -> dict[str, str]:
    """Of these console sessions, or of all, those that ended."""
    return {row[0]: "1" for row in connection.execute(_REVOKED, {"sids": sids}).fetchall()}


def shortened(sha256: str) -> str:
    """Of a key, in hexadecimal: 128 bits of it. A hundred thousand of them cost the proxy 6 MB less than whole ones."""
    return sha256[:32]


def upstream_of(upstream: str, serve: str) -> str:
    """As the proxy understands it: "address:port", "static:<artifact>/<folder>", or "" while there is nothing to reach."""
    return f"static:{serve}" if serve else upstream


def changes(connection: Connection, cursor: Cursor) -> tuple[Changes, Cursor]:
    """What was committed since the cursor, and the cursor after it. The old cursor stays valid: reading again is safe."""
    # Asked first: whatever is below this mark was visible before the rows are read.
    settled = _settled(connection)
    asked = {"txid": cursor.txid, "seen": list(cursor.seen), "limit": LIMIT}
    rows = connection.execute(_CHANGES, asked).fetchall()
    found = Changes(
        instances=sorted({row[3] for row in rows if row[2] == "instance"}),
        clouds=sorted({row[3] for row in rows if row[2] == "data"}),
        sessions=sorted({row[3] for row in rows if row[2] == "revoked"}),
        oldest=min((row[4] for row in rows), default=None),
    )
    mark = settled if len(rows) < LIMIT else cursor.txid
    seen = cursor.seen | {row[0]: row[1] for row in rows}
    return found, Cursor(mark, {change: txid for change, txid in seen.items() if txid >= mark})


def settled(connection: Connection) -> Cursor:
    """From here on. What is read after it may be newer than the cursor, never older."""
    return Cursor(_settled(connection))


def _settled(connection: Connection) -> int:
    """Every transaction below this id is over, and what it committed is visible."""
    row = connection.execute(_SETTLED).fetchone()
    assert row is not None
    return int(row[0])
