"""What the gate's agent reads about limits: instances whose class is another than the standard one. No Django."""

from psycopg import Connection

from provider.gate.feed import Placement
from provider.gate.limits import STANDARD

# As its plan says, or the newest override that names a class and counts (tenants/models/plans.py).
_CLASSES = """
SELECT i.id, s.rate_class FROM tenants_cloud c
JOIN tenants_plan p ON p.slug = c.plan_id
LEFT JOIN LATERAL (
  SELECT o.rate_class FROM tenants_override o
  WHERE o.cloud_id = c.id AND o.ended_at IS NULL AND (o.ends_at IS NULL OR o.ends_at > now()) AND o.rate_class <> ''
  ORDER BY o.created_at DESC, o.id DESC LIMIT 1
) o ON true
CROSS JOIN LATERAL (SELECT coalesce(o.rate_class, p.rate_class) AS rate_class) s
JOIN tenants_instance i ON i.cloud_id = c.id
WHERE s.rate_class <> %(standard)s AND i.state <> 'removed' AND c.cell_id = %(cell)s
  AND c.state NOT IN ('closing', 'closed') AND (%(ids)s::text[] IS NULL OR i.id = ANY(%(ids)s))
"""


def load(connection: Connection, cell: str, ids: list[str] | None) -> dict[str, Placement]:
    """By instance; of these, or of all of the cell. Map: classes (instance → class)."""
    asked = {"cell": cell, "ids": ids, "standard": STANDARD}
    return {
        instance_id: frozenset({("classes", instance_id, rate_class)})
        for instance_id, rate_class in connection.execute(_CLASSES, asked).fetchall()
    }
