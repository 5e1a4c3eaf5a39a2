"""What clouds may have changed: the cluster and their data servers must come to know it. Overrides that have run out."""

import logging
from collections.abc import Collection

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from tenants.live import announce
from tenants.models import Cloud, DataServer, Event, Override
from tenants.reconcile import alerts

log = logging.getLogger(__name__)
AT_ONCE = 200


def touch(cloud_ids: Collection[str]) -> None:
    """To new generations, in the caller's transaction; the sweep finds them if nobody enqueues them."""
    Cloud.objects.filter(pk__in=cloud_ids).update(generation=F("generation") + 1)
    DataServer.objects.filter(cloud_id__in=cloud_ids).update(generation=F("generation") + 1)


def end_overrides() -> None:
    """Bring the cluster in line with overrides whose date has come. For quotas they have not counted since then anyway.

    Each in a transaction of its own: killed in between, the rest is still due; twice, the second finds nothing.
    """
    due = Override.objects.filter(ended_at__isnull=True, ends_at__lte=timezone.now())
    for override in due.order_by("ends_at")[:AT_ONCE]:
        _end(override)


@transaction.atomic
def _end(override: Override) -> None:
    cloud = Cloud.objects.select_for_update(of=("self",), no_key=True).get(pk=override.cloud_id)
    still = Override.objects.filter(pk=override.pk, ended_at__isnull=True, ends_at__lte=timezone.now())
    if not still.update(ended_at=F("ends_at")):
        return
    if override.names_quota:
        touch([cloud.pk])
    if override.traffic_bytes is not None:
        alerts.mark([cloud.pk])
    Event.record(cloud, before=cloud.state, after=cloud.state, reason=f"override {override.pk} ran out")
    announce(cloud.pk, cloud.pk)
    log.info("override_ended cloud=%s override=%s", cloud.pk, override.pk)
