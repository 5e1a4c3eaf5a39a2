"""Use-cases of clouds."""

from django.conf import settings
from django.db import transaction
from django.db.models import F

from apps_catalog.identifiers import random_letters
from tenants.live import announce
from tenants.models import Cell, Cloud, DataServer, Event, Operation, OperationKind, Plan, Quota, User
from tenants.services.installation import prepare
from tenants.steps import open_operation
from tenants.tasks import enqueue_cloud

CREATE_STEPS = (("namespace", "Make your namespace with its limits"), ("open", "Open your cloud"))


@transaction.atomic
def create_cloud(owner: User) -> Cloud:
    """Write a cloud for somebody who has none, and set its making in motion. Call inside the account's transaction."""
    cloud = Cloud.objects.create(
        owner=owner,
        cell=_open_cell(),
        plan=Plan.objects.get(slug=settings.DEFAULT_PLAN),
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
) -> Cloud:
    """Overrule the plan's figures (None: as the plan says). Holds for the very next install; the cluster follows.

    A quota below what is used removes nothing; it only refuses more.
    """
    locked = Cloud.objects.select_for_update(of=("self",), no_key=True).select_related("plan", "owner").get(pk=cloud.pk)
    before = locked.quota
    locked.cpu_millis, locked.memory_mib = cpu_millis, memory_mib
    locked.storage_mib, locked.instances_limit = storage_mib, instances
    if locked.quota != before:
        locked.generation += 1
    locked.save(update_fields=["cpu_millis", "memory_mib", "storage_mib", "instances_limit", "generation"])
    if locked.quota != before:
        DataServer.objects.filter(cloud=locked).update(generation=F("generation") + 1)  # the sweep brings it the limit
        _tell_of_quota(actor, locked, before)
    return locked


@transaction.atomic
def plan_changed(plan: Plan) -> int:
    """The figures of a plan were edited: bring every cloud on it in line. Returns how many."""
    ids = list(Cloud.objects.filter(plan=plan).values_list("pk", flat=True))
    Cloud.objects.filter(pk__in=ids).update(generation=F("generation") + 1)
    DataServer.objects.filter(cloud_id__in=ids).update(generation=F("generation") + 1)
    for cloud_id in ids:
        enqueue_cloud(cloud_id)
    return len(ids)


@transaction.atomic
def retry_cloud(actor: User, cloud: Cloud) -> Operation:
    """Try again to make a cloud whose making failed."""
    operation = open_operation(OperationKind.CREATE_CLOUD, cloud, CREATE_STEPS, actor=actor)
    Cloud.objects.filter(pk=cloud.pk).update(generation=F("generation") + 1, state_reason="")
    enqueue_cloud(cloud.pk)
    return operation


def _tell_of_quota(actor: User | None, cloud: Cloud, before: Quota) -> None:
    Event.record(
        cloud,
        before=cloud.state,
        after=cloud.state,
        actor=actor.pk if actor else "",
        reason=f"quota {before} became {cloud.quota}",
    )
    announce(cloud.pk, cloud.pk)
    enqueue_cloud(cloud.pk)


def _open_cell() -> Cell:
    """The cell for a newcomer. The very first one may come before anybody prepared the installation."""
    opened = Cell.objects.filter(is_open=True).order_by("name")
    if not Cell.objects.exists() or not Plan.objects.filter(slug=settings.DEFAULT_PLAN).exists():
        prepare()
    cell = opened.first()
    if cell is None:
        raise RuntimeError("No cell is open for new clouds.")
    return cell
