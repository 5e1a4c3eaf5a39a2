"""Background work. Tasks carry ids only, read the row again, and succeed when there is nothing left to do."""

from functools import partial

from celery import shared_task
from django.db import transaction


@shared_task
def reconcile_cloud(cloud_id: str) -> None:
    from tenants.reconcile import clouds

    clouds.reconcile(cloud_id)


def enqueue_cloud(cloud_id: str) -> None:
    """Reconcile once the caller's transaction is committed."""
    transaction.on_commit(partial(reconcile_cloud.delay, cloud_id))
