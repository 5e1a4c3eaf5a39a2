"""Plans for tests: small ones beside the one that newcomers get."""

from typing import Any

from tenants.models import Plan
from tenants.services.installation import prepare
from tenants.services.plans import create_plan

TERMS = {"name": "Small", "cpu_millis": 1000, "memory_mib": 1024, "storage_mib": 2000, "instances": 2}


def offer(slug: str = "small", **terms: Any) -> Plan:
    """A plan of two apps of the usual size, unless `terms` say otherwise."""
    prepare()
    return create_plan(None, slug, {**TERMS, **terms})
