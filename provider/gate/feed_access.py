"""What the gate's agent reads about who may enter: public routes, keys of programs, an instance's own key, invited people.

Plain SQL, no Django.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from functools import partial
from hashlib import sha256

from psycopg import Connection

from provider.gate.entry import completed
from provider.gate.feed import Placement, shortened
from tenants.data_secrets import calls_key

NEVER = 99_999_999_999  # epoch seconds; a key without an end

# Of this gate's cell, in clouds that are not closing.
_OWN = """
SELECT i.id, c.id, i.calls_version FROM tenants_instance i JOIN tenants_cloud c ON c.id = i.cloud_id
WHERE i.state NOT IN ('removing', 'removed') AND c.cell_id = %(cell)s AND c.state NOT IN ('closing', 'closed')
  AND (%(ids)s::text[] IS NULL OR i.id = ANY(%(ids)s))
"""
# A key without a micro opens all that take keys, one of a micro that takes none any more opens nothing.
_KEYS = """
SELECT i.id, m.mount, k.sha256, k.expires_at FROM tenants_appkey k
JOIN tenants_instance i ON i.id = k.instance_id JOIN tenants_cloud c ON c.id = i.cloud_id
JOIN tenants_instancemicro m ON m.instance_id = i.id AND m.takes_keys AND k.micro IN ('', m.name)
WHERE i.state NOT IN ('removing', 'removed') AND c.cell_id = %(cell)s AND c.state NOT IN ('closing', 'closed')
  AND (%(ids)s::text[] IS NULL OR i.id = ANY(%(ids)s))
"""
_GUESTS = """
SELECT i.id, s.user_id FROM tenants_share s JOIN tenants_user u ON u.id = s.user_id
JOIN tenants_instance i ON i.id = s.instance_id JOIN tenants_cloud c ON c.id = i.cloud_id
WHERE s.state = 'accepted' AND u.is_active
  AND i.state NOT IN ('removing', 'removed') AND c.cell_id = %(cell)s AND c.state NOT IN ('closing', 'closed')
  AND (%(ids)s::text[] IS NULL OR i.id = ANY(%(ids)s))
"""
_PUBLIC = """
SELECT i.id, m.mount, m.public_routes FROM tenants_instancemicro m
JOIN tenants_instance i ON i.id = m.instance_id JOIN tenants_cloud c ON c.id = i.cloud_id
WHERE m.public_routes <> '[]' AND (m.mount = '') = %(primary)s
  AND i.state NOT IN ('removing', 'removed') AND c.cell_id = %(cell)s AND c.state NOT IN ('closing', 'closed')
  AND (%(ids)s::text[] IS NULL OR i.id = ANY(%(ids)s))
"""
# Patterns that the proxy can hold against a path as it is; paths that match others are the provider's to judge.
_PLAIN = re.compile(r"/[A-Za-z0-9._~!$&'()*+,=:@/-]*")
_MORE = "?"  # there are routes besides these; no path has it, so it opens none
_LONGEST = 4_000  # characters of one line in a map, which must fit into the proxy's buffer


def load(connection: Connection, cell: str, ids: list[str] | None) -> dict[str, Placement]:
    """By instance; of these, or of all of the cell.

    Maps: appkeys (`<instance>/<mount>/<SHA-256 of a key>` → until when it counts, epoch seconds), guests
    (`<instance>/<person>`), public (`<instance>/<mount>` → patterns; the primary micro's stand with the host).
    """
    asked = {"cell": cell, "ids": ids, "primary": False}
    found: dict[str, set[tuple[str, str, str]]] = {}
    for instance_id, mount, fingerprint, expires_at in connection.execute(_KEYS, asked).fetchall():
        found.setdefault(instance_id, set()).add(
            ("appkeys", f"{instance_id}/{mount}/{fingerprint}", _until(expires_at))
        )
    for instance_id, user_id in connection.execute(_GUESTS, asked).fetchall():
        found.setdefault(instance_id, set()).add(("guests", f"{instance_id}/{user_id}", "1"))
    for instance_id, mount, routes in connection.execute(_PUBLIC, asked).fetchall():
        if patterns := _plain(routes):
            found.setdefault(instance_id, set()).add(("public", f"{instance_id}/{mount}", " ".join(patterns)))
    return {instance_id: frozenset(entries) for instance_id, entries in found.items()}


def with_access(
    connection: Connection, cell: str, root: str, ids: list[str] | None, placements: dict[str, Placement]
) -> dict[str, Placement]:
    """The same; hosts then say the instance's own key and its primary's public routes. root: FREEHOLD_DATA_KEY."""
    marked, asked = dict(placements), {"cell": cell, "ids": ids, "primary": True}
    public = {row[0]: _plain(row[2]) for row in connection.execute(_PUBLIC, asked).fetchall()}
    for instance_id, cloud_id, version in connection.execute(_OWN, asked).fetchall():
        if instance_id not in placements:
            continue
        own = shortened(sha256(calls_key(root, cloud_id, instance_id, version).encode()).hexdigest())
        more = partial(replace, own_key=own, public=public.get(instance_id, ()))
        marked[instance_id] = completed(placements[instance_id], more)
    return marked


def _plain(routes: Iterable[str]) -> tuple[str, ...]:
    """As apps_catalog/public_routes.py reads them: a missing slash counts as there, blanks at the ends do not count."""
    trimmed = [route.strip() for route in routes]
    slashed = [route if route.startswith("/") else f"/{route}" for route in trimmed if route]
    plain = tuple(route for route in slashed if _PLAIN.fullmatch(route))
    if len(" ".join(plain)) > _LONGEST:
        return (_MORE,)
    return plain if len(plain) == len(slashed) else (*plain, _MORE)


def _until(expires_at: datetime | None) -> str:
    return str(int(expires_at.timestamp()) if expires_at else NEVER)
