"""What must be there before anybody can sign up."""

import uuid

from django.conf import settings
from django.db import transaction

from tenants.models import Cell, Installation, Plan
from tenants.reconcile.cluster import require_own

HOUSEHOLD = {
    "name": "Household",
    "cpu_millis": 20_000,
    "memory_mib": 20 * 1024,
    "storage_mib": 20 * 1024,
    "instances": 20,
    "builds": 2,
}


@transaction.atomic
def prepare(named: str | None = None) -> None:
    """This installation's id, its cell and the newcomers' plan. What is there already stays as operators made it.

    named: the id that CLUSTER_URL gives it; a database that has none yet takes it. Raises WrongInstallation.
    """
    if not Installation.objects.exists():
        Installation.objects.create(id=named or uuid.uuid4())
    require_own(named)
    Cell.objects.get_or_create(name=settings.DEFAULT_CELL, defaults={"apps_domain": settings.APPS_DOMAIN})
    sleep = {"sleep_after_s": settings.SLEEP_AFTER_S or None}
    Plan.objects.get_or_create(slug=settings.DEFAULT_PLAN, defaults={**HOUSEHOLD, **sleep})
