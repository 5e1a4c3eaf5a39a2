"""The rows that a Freehold cannot be without: its own id, its first cell, the plan of newcomers. Safe to repeat."""

import uuid

from django.conf import settings

from tenants.models import Cell, Installation, Plan

# At least 20 instances of the default size (0.2 cores, 512 MiB, 500 MiB on disk) and some with more than one micro.
HOUSEHOLD = {"name": "Household", "cpu_millis": 20_000, "memory_mib": 20_480, "storage_mib": 20_480, "instances": 60}


def ensure() -> None:
    """What an operator changed afterwards stays."""
    if not Installation.objects.exists():
        Installation.objects.create(id=uuid.uuid4())
    Cell.objects.get_or_create(name=settings.DEFAULT_CELL, defaults={"apps_domain": settings.APPS_DOMAIN})
    Plan.objects.get_or_create(slug="household", defaults=HOUSEHOLD)
