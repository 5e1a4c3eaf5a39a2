"""What the gate's agent reads about data: collections, who may open them, and where they are. Plain SQL, no Django."""

import base64
from dataclasses import replace
from functools import partial

from psycopg import Connection

from provider.gate.entry import completed
from provider.gate.feed import Placement, shortened
from tenants.data_secrets import cloud_secrets

# Of this gate's cell, in clouds that are open. is_open: the data server has heard of the collection as it is, and is not
# about to fall asleep. is_known: it has heard of the key.
_COLLECTIONS = """
SELECT k.cloud_id, k.project_id, k.instance_id, k.key_sha256, s.upstream, k.generation <= s.observed_generation
  AND NOT EXISTS (SELECT 1 FROM tenants_drain d WHERE d.subject = s.id) AS is_open
FROM tenants_collection k
JOIN tenants_cloud c ON c.id = k.cloud_id JOIN tenants_dataserver s ON s.cloud_id = c.id
WHERE k.state = 'active' AND c.cell_id = %(cell)s AND c.state = 'active'
  AND (%(ids)s::text[] IS NULL OR c.id = ANY(%(ids)s))
"""
_KEYS = """
SELECT k.cloud_id, k.project_id, d.sha256, d.generation <= s.observed_generation AS is_known
FROM tenants_datakey d JOIN tenants_collection k ON k.id = d.collection_id
JOIN tenants_cloud c ON c.id = k.cloud_id JOIN tenants_dataserver s ON s.cloud_id = c.id
WHERE k.state = 'active' AND c.cell_id = %(cell)s AND c.state = 'active'
  AND (%(ids)s::text[] IS NULL OR c.id = ANY(%(ids)s))
"""
# An instance without a data server's word has none here either: the proxy would not know whom to send it to.
_OWNED = """
SELECT k.instance_id, k.project_id, k.cloud_id FROM tenants_collection k
JOIN tenants_cloud c ON c.id = k.cloud_id JOIN tenants_dataserver s ON s.cloud_id = c.id
WHERE k.state = 'active' AND c.cell_id = %(cell)s AND c.state = 'active' AND k.instance_id IS NOT NULL
  AND (%(ids)s::text[] IS NULL OR k.instance_id = ANY(%(ids)s))
"""
_INSTANCES = "SELECT id FROM tenants_instance WHERE cloud_id = ANY(%s) AND state <> 'removed'"


def load(connection: Connection, cell: str, root: str, cloud_ids: list[str] | None) -> dict[str, Placement]:
    """By cloud; of these, or of all. root: FREEHOLD_DATA_KEY.

    Maps: data (project → `<cloud>/<shortened SHA-256 of its instance's key>`, without the cloud while it is not open),
    servers (cloud → address), sign (cloud → what the gate signs with, Base64), datakeys (shortened SHA-256 of any other key
    → project), fresh (the same of a key that the data server has not heard of yet).
    """
    asked = {"cell": cell, "ids": cloud_ids}
    found: dict[str, set[tuple[str, str, str]]] = {}
    for cloud_id, project, instance_id, sha256, upstream, is_open in connection.execute(_COLLECTIONS, asked).fetchall():
        entries = found.setdefault(cloud_id, set())
        secret = cloud_secrets(root, cloud_id).gate
        entries.add(("sign", cloud_id, base64.b64encode(secret).decode()))
        if upstream:
            entries.add(("servers", cloud_id, upstream))
        its_key = shortened(sha256) if instance_id else ""
        entries.add(("data", project, f"{cloud_id if upstream and is_open else ''}/{its_key}"))
    for cloud_id, project, sha256, is_known in connection.execute(_KEYS, asked).fetchall():
        entries = found.setdefault(cloud_id, set())
        entries.add(("datakeys", shortened(sha256), project))
        if not is_known:
            entries.add(("fresh", shortened(sha256), "1"))
    return {cloud_id: frozenset(entries) for cloud_id, entries in found.items()}


def with_data(
    connection: Connection, cell: str, ids: list[str] | None, placements: dict[str, Placement]
) -> dict[str, Placement]:
    """The same; the entries of hosts then name the instance's own collection, and whose cloud has it."""
    marked = dict(placements)
    for instance_id, project, cloud_id in connection.execute(_OWNED, {"cell": cell, "ids": ids}).fetchall():
        if instance_id in placements:
            marked[instance_id] = completed(placements[instance_id], partial(replace, project=project, cloud=cloud_id))
    return marked


def instances_of(connection: Connection, cloud_ids: list[str]) -> list[str]:
    """Whose hosts say where their data is, so that they change with it."""
    return [row[0] for row in connection.execute(_INSTANCES, [cloud_ids]).fetchall()]
