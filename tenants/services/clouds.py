"""Use-cases of clouds."""

from django.conf import settings
from django.db import transaction
from django.db.models import F

from apps_catalog.identifiers import random_letters
from tenants.models import Cell, Cloud, Operation, OperationKind, Plan, User
from tenants.models.plans import QUOTA_FIELDS
from tenants.services.installation import prepare
from tenants.services.overrides import end_override, grant_override
from tenants.services.plans import hold_plan
from tenants.steps import open_operation
from tenants.tasks import enqueue_cloud

CREATE_STEPS = (("namespace", "Make your namespace with its limits"), ("open", "Open your cloud"))


@transaction.atomic
def create_cloud(owner: User) -> Cloud:
    """Write a cloud for somebody who has none, and set its making in motion. Call inside the account's transaction."""
    cloud = Cloud.objects.create(
        owner=owner,
        cell=_open_cell(),
        plan=_first_plan(),
        namespace=f"fh-{random_letters(16)}",
    )
    open_operation(OperationKind.CREATE_CLOUD, cloud, CREATE_STEPS, actor=owner)
    enqueue_cloud(cloud.pk)
    return cloud


@transaction.atomic
def set_quota(
    actor: User | None,
    cloud: Cloud,
    *,
    cpu_millis: int | None,
    memory_mib: int | None,
    storage_mib: int | None,
    instances: int | None,
    reason: str = "Set by an operator.",
) -> None:
    """These figures and no others from now on (None: as the plan says): one override in place of all that count."""
    given = zip(QUOTA_FIELDS, (cpu_millis, memory_mib, storage_mib, instances), strict=True)
    figures = {name: value for name, value in given if value is not None}
    locked = Cloud.objects.select_for_update(of=("self",), no_key=True).get(pk=cloud.pk)
    for standing in locked.overrides.filter(ended_at__isnull=True):
        end_override(actor, standing)
    if figures:
        grant_override(actor, locked, figures, reason=reason)


@transaction.atomic
def retry_cloud(actor: User, cloud: Cloud) -> Operation:
    """Try again to make a cloud whose making failed."""
    operation = open_operation(OperationKind.CREATE_CLOUD, cloud, CREATE_STEPS, actor=actor)
    Cloud.objects.filter(pk=cloud.pk).update(generation=F("generation") + 1, state_reason="")
    enqueue_cloud(cloud.pk)
    return operation


def _first_plan() -> Plan:
    hold_plan(settings.DEFAULT_PLAN)
    return Plan.objects.get(slug=settings.DEFAULT_PLAN)


def _open_cell() -> Cell:
    """The cell for a newcomer. The very first one may come before anybody prepared the installation."""
    opened = Cell.objects.filter(is_open=True).order_by("name")
    if not Cell.objects.exists() or not Plan.objects.filter(slug=settings.DEFAULT_PLAN).exists():
        prepare()
    cell = opened.first()
    if cell is None:
        raise RuntimeError("No cell is open for new clouds.")
    return cell
