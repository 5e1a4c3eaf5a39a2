"""How much data a cloud may hold, how much it holds, and telling its owner before it is full."""

import logging
from datetime import UTC, datetime

from django.db.models import Q
from django.utils import timezone

from apps_catalog.blueprint import blueprint_of
from k8s.errors import ClusterError
from tenants.models import Cloud, Collection, DataKey, DataServer, Limited
from tenants.reconcile import data_admin
from tenants.reconcile.alerts import Filled, tell
from tenants.states import CollectionState, DataServerState, InstanceState

log = logging.getLogger(__name__)
MIB = 1024 * 1024
AT_ONCE = 200  # servers that one round asks, those first that were not asked for longest


def limit_bytes(cloud: Cloud) -> int:
    """What its collections may take together: the storage of its plan without the volumes of its apps."""
    rows = cloud.instances.exclude(state=InstanceState.REMOVED).select_related("revision")
    volumes_mib = sum(row.storage_mib for row in rows if blueprint_of(row.revision).volume_path is not None)
    return max(0, cloud.quota.storage_mib - volumes_mib) * MIB


def measure() -> None:
    """Ask running data servers what they hold, and tell owners whose cloud fills up."""
    rows = DataServer.objects.filter(state=DataServerState.RUNNING).exclude(upstream="").select_related("cloud__owner")
    found = []
    for server in rows.order_by("measured_at")[:AT_ONCE]:
        try:
            found.append(_measure(server))
        except ClusterError as error:
            log.warning("data_not_measured cloud=%s why=%s", server.cloud_id, error)
    tell(Limited.STORAGE, found)


def _measure(server: DataServer) -> Filled:
    with data_admin.connected(server.cloud_id, server.upstream) as client:
        quota = data_admin.ask(client, "GET", "quota")
        found = {
            collection.pk: data_admin.ask(client, "GET", f"collections/{collection.project_id}")
            for collection in server.cloud.collections.filter(
                state=CollectionState.ACTIVE, generation__lte=server.observed_generation
            )
        }
    for collection_id, told in found.items():
        Collection.objects.filter(pk=collection_id).exclude(size_bytes=told["bytes"]).update(size_bytes=told["bytes"])
        _note_uses(collection_id, told["keys"])
    used, limit, disk = quota["used_bytes"], quota["limit_bytes"] or 0, quota.get("disk_bytes", 0)
    DataServer.objects.filter(pk=server.pk).update(
        used_bytes=used, limit_bytes=limit, disk_bytes=disk, measured_at=timezone.now()
    )
    # A volume that could not grow with its plan is full before the plan is.
    most = min(limit, disk) if disk else limit
    return Filled(server.cloud_id, used, most or None)


def _note_uses(collection_id: str, keys: list[data_admin.Document]) -> None:
    """When each key was used last, as its data server remembers it since its start."""
    for key in keys:
        if key.get("last_used"):
            at = datetime.fromtimestamp(key["last_used"], UTC)
            older = Q(last_used_at__isnull=True) | Q(last_used_at__lt=at)
            DataKey.objects.filter(older, pk=key["id"], collection=collection_id).update(last_used_at=at)
