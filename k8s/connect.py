"""From CLUSTER_URL to a driver."""

from urllib.parse import urlsplit

from k8s.cluster import Cluster
from k8s.errors import Permanent


def connect(url: str) -> Cluster:
    """The driver for `url`: `local:///node/home?socket=…&store=…` for one machine, or see k8s.kube.address.

    Raises Permanent for other schemes.
    """
    scheme = urlsplit(url).scheme
    if scheme == "local":
        from k8s.local.driver import from_url  # a driver's imports are paid only by those who use it

        return from_url(url)
    if scheme == "kubernetes":
        from k8s.kube.address import from_url as kubernetes_from_url

        return kubernetes_from_url(url)
    raise Permanent(f"no cluster driver for “{scheme}://”; CLUSTER_URL begins with local:// or kubernetes://")
