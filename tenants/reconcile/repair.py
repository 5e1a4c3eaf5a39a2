"""What holds a cloud together was altered or taken away by somebody: it is made again as its row says."""

import logging

from k8s.errors import ClusterError, Temporary
from tenants.models import Cloud
from tenants.reconcile import cluster
from tenants.reconcile.advisory import held
from tenants.reconcile.clouds import LIVING
from tenants.reconcile.specs import cloud_spec

log = logging.getLogger(__name__)


def repair(cloud_id: str) -> bool:
    """False: come back later. Clouds without a row, and those that close, are left as they are."""
    with held(f"cloud:{cloud_id}") as mine:
        if not mine:
            return False
        cloud = Cloud.objects.select_related("plan").filter(pk=cloud_id, state__in=LIVING).first()
        if cloud is None or cloud.observed_generation < cloud.generation:
            return True  # nobody's, or about to be made anyway
        try:
            cluster.of(cloud.cell_id).ensure_cloud(cloud_spec(cloud))
        except Temporary as error:
            log.warning("repair_waits cloud=%s why=%s", cloud_id, error)
            return False
        except ClusterError as error:
            log.error("repair_failed cloud=%s why=%s", cloud_id, error)
    return True
