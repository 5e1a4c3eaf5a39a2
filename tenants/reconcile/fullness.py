"""How much data a cloud may hold, how much it holds, and telling its owner in time."""

from apps_catalog.blueprint import blueprint_of
from tenants.models import Cloud
from tenants.states import InstanceState

MIB = 1024 * 1024


def limit_bytes(cloud: Cloud) -> int:
    """What its collections may take together: the storage of its plan without the volumes of its apps."""
    rows = cloud.instances.exclude(state=InstanceState.REMOVED).select_related("revision")
    volumes_mib = sum(row.storage_mib for row in rows if blueprint_of(row.revision).volume_path is not None)
    return max(0, cloud.quota.storage_mib - volumes_mib) * MIB
