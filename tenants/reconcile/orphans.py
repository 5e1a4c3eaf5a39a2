"""Instances that the cluster holds and no row knows.

Their processes are stateless and may be cleared where the cloud's row exists, never their volumes: after a database was
restored from a backup they may be somebody's. In clouds without a row everything is only reported.
"""

import logging
from datetime import timedelta

from django.utils import timezone

from k8s.errors import ClusterError
from tenants.models import Cloud, DataServer, Event, Instance
from tenants.reconcile import cluster
from tenants.states import InstanceState

log = logging.getLogger(__name__)
GRACE = timedelta(minutes=10)


def look() -> None:
    """Report each orphan once when it is first seen; clear it when it is still one after the grace period."""
    for cell in cluster.cells():
        try:
            _look(cell, cluster.of(cell).list_instances())
        except ClusterError as error:
            log.warning("orphans_not_looked_for cell=%s why=%s", cell, error)


def _look(cell: str, held: list[tuple[str, str]]) -> None:
    known = set(
        Instance.objects.filter(pk__in=[instance_id for _, instance_id in held])
        .exclude(state=InstanceState.REMOVED)
        .values_list("cloud_id", "pk")
    )
    known |= set(
        DataServer.objects.filter(pk__in=[instance_id for _, instance_id in held]).values_list("cloud_id", "pk")
    )
    for cloud_id, instance_id in held:
        if (cloud_id, instance_id) not in known:
            _orphan(cell, cloud_id, instance_id)


def _orphan(cell: str, cloud_id: str, instance_id: str) -> None:
    reported = Event.objects.filter(subject=instance_id, kind="orphan").order_by("-at").first()
    if reported is None:
        Event.objects.create(cloud_id=cloud_id, subject=instance_id, kind="orphan", reason="in the cluster, no row")
        log.warning("orphan_found cloud=%s instance=%s", cloud_id, instance_id)
        return
    if timezone.now() - reported.at < GRACE or not Cloud.objects.filter(pk=cloud_id).exists():
        return
    try:
        cluster.of(cell).delete_instance(cloud_id, instance_id, delete_volume=False)
    except ClusterError as error:
        log.warning("orphan_stays cloud=%s instance=%s why=%s", cloud_id, instance_id, error)
        return
    Event.objects.create(cloud_id=cloud_id, subject=instance_id, kind="orphan", after="cleared")
