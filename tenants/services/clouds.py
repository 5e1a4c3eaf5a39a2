"""Use-cases of clouds."""

from django.conf import settings
from django.db import transaction

from apps_catalog.identifiers import random_letters
from tenants.models import Cell, Cloud, Operation, OperationKind, OperationStep, Plan, User
from tenants.tasks import enqueue_cloud


def create_cloud(owner: User) -> Cloud:
    """Write a cloud for somebody who has none, and set its making in motion. Call inside the account's transaction."""
    cell = Cell.objects.filter(is_open=True).order_by("name").first()
    if cell is None:
        raise RuntimeError("No cell is open for new clouds.")
    with transaction.atomic():
        cloud = Cloud.objects.create(
            owner=owner,
            cell=cell,
            plan=Plan.objects.get(slug=settings.DEFAULT_PLAN),
            namespace=f"fh-{random_letters(16)}",
        )
        operation = Operation.objects.create(kind=OperationKind.CREATE_CLOUD, cloud=cloud, actor=owner)
        steps = (("namespace", "Make the namespace"), ("quota", "Set its quota"))
        OperationStep.objects.bulk_create(
            OperationStep(operation=operation, position=n, name=name, title=title)
            for n, (name, title) in enumerate(steps)
        )
        enqueue_cloud(cloud.id)
    return cloud
