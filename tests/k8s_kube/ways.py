"""Every way into and out of a cloud that is worth asking about, and the few that are allowed.

Only ports that are the same whether or not the server knows ranges of ports.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from k8s.cell import Cell
from tests.k8s_kube.reachability import Pod

ROLES = ("app", "build", "data", "no role of ours")
_PROVIDERS = ("gate", "bundles", "web", "live", "worker", "observer")
MAIL = (25, 465, 587, 2525)
_TCP = (22, 80, 443, *MAIL, 5432, 8080, 8443)
_INSIDE = (*_TCP, 53, 6443, 8000, 8001, 8005, 8009, 10250)
PUBLIC = {"the Internet (IPv4)": "93.184.216.34", "the Internet (IPv6)": "2606:2800:220:1::1"}
CLOSED = {
    "the apiserver's Service": "10.96.0.1",
    "a private network (10)": "10.1.2.3",
    "a private network (172)": "172.20.0.1",
    "a private network (192)": "192.168.1.1",
    "a provider's own network": "100.64.1.1",
    "loopback": "127.0.0.1",
    "link-local": "169.254.1.1",
    "metadata": "169.254.169.254",
    "multicast": "224.0.0.1",
    "loopback (IPv6)": "::1",
    "a private network (IPv6)": "fd12:3456::1",
    "metadata (IPv6)": "fd00:ec2::254",
    "link-local (IPv6)": "fe80::1",
    "IPv4 by translation": "64:ff9b::a00:1",
    "IPv4 by a tunnel": "2002:a00:1::1",
    "multicast (IPv6)": "ff02::1",
}
NODE_LOCAL_DNS = {"names (on the node)": "169.254.20.10"}


@dataclass(frozen=True)
class Way:
    direction: str
    pod: Pod
    whom: str
    other: Pod | str
    port: int
    protocol: str

    @property
    def named(self) -> tuple[str, str, str, int, str]:
        return self.direction, self.pod.role, self.whom, self.port, self.protocol

    @property
    def question(self) -> tuple[str, Pod, Pod | str, int, str]:
        """For reachability.allowed, after the policies."""
        return self.direction, self.pod, self.other, self.port, self.protocol


def every_way(cell: Cell, cloud: Mapping[str, str]) -> Iterator[Way]:
    """cloud: labels of the namespace whose policies are asked about."""
    pods = _pods(cell, cloud)
    addresses = {**PUBLIC, **CLOSED, **NODE_LOCAL_DNS}
    addresses |= {f"a node ({cidr})": cidr.partition("/")[0] for cidr in cell.blocked}
    for role in ROLES:
        pod = Pod(role, cloud)
        for direction in ("ingress", "egress"):
            for whom, other in pods.items():
                yield from (Way(direction, pod, whom, other, port, "TCP") for port in _INSIDE)
                yield from (Way(direction, pod, whom, other, port, "UDP") for port in (53, 443))
            for whom, address in addresses.items():
                ports = _TCP if whom in PUBLIC else _INSIDE
                yield from (Way(direction, pod, whom, address, port, "TCP") for port in ports)
                yield Way(direction, pod, whom, address, 443, "UDP")
        yield Way("egress", pod, "names (on the node)", "169.254.20.10", 53, "UDP")


def _pods(cell: Cell, cloud: Mapping[str, str]) -> dict[str, Pod]:
    provider = {"freehold/installation": cell.installation, "freehold/role": "provider"}
    neighbour = {**cloud, "freehold/cloud": "another"}
    stranger = {**provider, "freehold/installation": "another"}
    found = {f"the provider's {role}": Pod(role, provider) for role in (*_PROVIDERS, "static", "beat")}
    found |= {f"the own {role}": Pod(role, cloud) for role in ROLES}
    found |= {f"a neighbour's {role}": Pod(role, neighbour) for role in (*ROLES, *_PROVIDERS)}
    found |= {f"another installation's {role}": Pod(role, stranger) for role in _PROVIDERS}
    names = {"names": Pod("", {}, {"k8s-app": "kube-dns"}), "another pod of the cluster": Pod("", {})}
    return found | names


def _rows() -> Iterator[tuple[str, str, str, tuple[int, ...], str]]:
    public = tuple(port for port in _TCP if port not in MAIL)
    yield "ingress", "app", "the provider's gate", (8080,), "TCP"
    for role in ("gate", "web", "live", "worker", "observer"):
        yield "ingress", "data", f"the provider's {role}", (8080,), "TCP"
    yield "ingress", "data", "the own app", (8080,), "TCP"
    yield "egress", "app", "the provider's gate", (80, 443, 8000, 8443), "TCP"
    yield "egress", "app", "the own data", (8080,), "TCP"
    for role in ("app", "build"):
        for whom in PUBLIC:
            yield "egress", role, whom, public, "TCP"
            yield "egress", role, whom, (443,), "UDP"
    for role in ("app", "build", "data"):
        # Of the bundle server's pods any port; its own policy opens one.
        yield "egress", role, "the provider's bundles", _INSIDE, "TCP"
        yield "egress", role, "the provider's bundles", (53, 443), "UDP"
        for whom in ("names", "names (on the node)"):
            yield "egress", role, whom, (53,), "TCP"
            yield "egress", role, whom, (53,), "UDP"


ALLOWED = {(d, role, whom, port, protocol) for d, role, whom, ports, protocol in _rows() for port in ports}
