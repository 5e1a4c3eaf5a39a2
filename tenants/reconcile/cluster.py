"""The cluster of this process."""

from functools import lru_cache

from django.conf import settings

from k8s.cluster import Cluster
from k8s.connect import connect


@lru_cache(maxsize=1)
def current() -> Cluster:
    """One driver per process; drivers may be used by several threads. Raises k8s.errors.Permanent for a wrong URL."""
    return connect(settings.CLUSTER_URL)
