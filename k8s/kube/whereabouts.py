"""Where a pod that is starting will listen: it came from there to fetch its code. Kubelets say so up to a second later.

The bundle server writes an Event per pod, which the cluster forgets after an hour; the observer's watch reads it.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network

from k8s import naming
from k8s.naming import Manifest


class Whereabouts:
    """pods: CIDRs outside of which no pod has an address; without any nothing is believed."""

    def __init__(self, pods: Sequence[str]) -> None:
        self._networks = [ip_network(network) for network in pods]
        self._addresses: dict[str, str] = {}

    def may_be(self, address: str) -> bool:
        try:
            known = ip_address(address)
        except ValueError:
            return False
        return any(known in network for network in self._networks)

    def note(self, pod: str, address: str) -> None:
        if self.may_be(address):
            self._addresses[pod] = address

    def forget(self, pod: str) -> None:
        self._addresses.pop(pod, None)

    def of(self, pod: str) -> str | None:
        return self._addresses.get(pod)


def event(namespace: str, pod: str, labels: Mapping[str, str], address: str) -> Manifest:
    """Named as the pod. Any server knows this kind, and whoever looks at the pod reads it there."""
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    annotations = {naming.ADDRESS: address}
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": pod, "namespace": namespace, "labels": dict(labels), "annotations": annotations},
        "involvedObject": {"apiVersion": "v1", "kind": "Pod", "namespace": namespace, "name": pod},
        "type": "Normal",
        "reason": "Fetched",
        "message": "It has its code and starts the app.",
        "source": {"component": "freehold"},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
