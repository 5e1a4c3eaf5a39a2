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


def installation_of(url: str) -> str | None:
    """Whose objects the URL's cluster holds as it says itself: a UUID, or None for one machine. Raises Permanent."""
    if urlsplit(url).scheme != "kubernetes":
        return None
    from k8s.kube.address import installation_of as named

    return named(url)
