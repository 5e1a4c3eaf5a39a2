"""Who may speak with whom: nobody, except as listed here."""

from typing import Any
from urllib.parse import urlsplit

from k8s.cell import Cell
from k8s.naming import CLOUD, INSTALLATION, OFFLINE, PORT, ROLE, Manifest
from k8s.specs import CloudSpec

NODE_LOCAL_DNS = "169.254.20.10/32"
MAIL_PORTS = (25, 465, 587, 2525)
PRIVATE_V4 = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
    *("192.168.0.0/16", "224.0.0.0/3"),
)
# Also the ranges that carry IPv4 addresses inside: they would lead around the list above. (The mapped ones,
# ::ffff:0:0/96, never are on a wire, and servers read them as IPv4.)
PRIVATE_V6 = ("::/96", "64:ff9b::/96", "2002::/16", "fc00::/7", "fe80::/10", "ff00::/8")
# For servers that know no port ranges: what apps commonly need.
_SINGLE_PORTS = (22, 80, 443, 993, 995, 1883, 3306, 5432, 5671, 5672, 6379, 6380, 8080, 8443, 8883, 9092, 9200, 27017)
_HIGHEST_PORT = 65535
# The provider's processes that look at data servers and tell them what to know (tenants/reconcile/data_admin.py).
DATA_ADMINISTRATORS = ("web", "live", "worker", "observer")


def policies(spec: CloudSpec, cell: Cell) -> list[Manifest]:
    labels = {INSTALLATION: cell.installation, CLOUD: spec.cloud_id}
    apps, builds, data = _role("app"), _role("build"), _role("data")
    closed = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    from_gate = {"from": [_provider(cell, "gate"), *_outside(cell)], "ports": [_port(PORT)]}
    # The provider speaks to the server's administration on the same port, with a token.
    from_provider = {"from": [_provider(cell, role) for role in DATA_ADMINISTRATORS], "ports": [_port(PORT)]}
    from_apps = {"from": [{"podSelector": apps}], "ports": [_port(PORT)]}
    to_data = {"to": [{"podSelector": data}], "ports": [_port(PORT)]}
    to_gate = {"to": [_provider(cell, "gate")], "ports": [_port(port) for port in (80, 443, 8000, 8443)]}
    bundles = [{"to": [_provider(cell, "bundles")]}, *_to_outside(cell, urlsplit(cell.bundle_url).port or 80)]
    inside = [_dns(), *bundles]
    out = [*inside, *_internet(cell)]
    rules = {
        "closed": closed,
        # Policies add up: what is to stay off the Internet is left out of the one that opens it. It is written before
        # the next one, from which an older version of ours had it.
        "internet": {"podSelector": _online_apps(), "policyTypes": ["Egress"], "egress": _internet(cell)},
        "apps": _both(apps, [from_gate], [to_gate, *_to_outside(cell, *cell.outside_ports), to_data, *inside]),
        "builds": _both(builds, [], out),
        "data": _both(data, [from_gate, from_provider, from_apps], [_dns(), *bundles]),
    }
    return [
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": name, "namespace": spec.namespace, "labels": labels},
            "spec": rule,
        }
        for name, rule in rules.items()
    ]


def _both(pods: Manifest, ingress: list[Any], egress: list[Any]) -> Manifest:
    return {"podSelector": pods, "policyTypes": ["Ingress", "Egress"], "ingress": ingress, "egress": egress}


def _role(role: str) -> Manifest:
    return {"matchLabels": {ROLE: role}}


def _online_apps() -> Manifest:
    return {**_role("app"), "matchExpressions": [{"key": OFFLINE, "operator": "DoesNotExist"}]}


def _provider(cell: Cell, role: str) -> Manifest:
    """Pods of the provider itself. Its namespace is known by our label: the name's own label came with 1.21."""
    namespace = {INSTALLATION: cell.installation, ROLE: "provider"}
    return {"namespaceSelector": {"matchLabels": namespace}, "podSelector": _role(role)}


def _outside(cell: Cell) -> list[Manifest]:
    """The provider beside the cluster, by its one address."""
    return [{"ipBlock": {"cidr": f"{cell.outside}/32"}}] if cell.outside else []


def _to_outside(cell: Cell, *ports: int) -> list[Manifest]:
    return [{"to": _outside(cell), "ports": [_port(port) for port in ports]}] if cell.outside else []


def _port(number: int, protocol: str = "TCP") -> Manifest:
    return {"protocol": protocol, "port": number}


def _dns() -> Manifest:
    cluster = {"namespaceSelector": {}, "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}
    return {
        "to": [cluster, {"ipBlock": {"cidr": NODE_LOCAL_DNS}}],
        "ports": [_port(53, "UDP"), _port(53)],
    }


def _internet(cell: Cell) -> list[Manifest]:
    blocked_v6 = [cidr for cidr in cell.blocked if ":" in cidr]
    blocked_v4 = [cidr for cidr in cell.blocked if ":" not in cidr]
    v4 = {"ipBlock": {"cidr": "0.0.0.0/0", "except": [*PRIVATE_V4, *blocked_v4]}}
    v6 = {"ipBlock": {"cidr": "::/0", "except": [*PRIVATE_V6, *blocked_v6]}}
    return [{"to": [v4, v6], "ports": _public_ports(cell)}]


def _public_ports(cell: Cell) -> list[Manifest]:
    """All but those of mail. Policies only allow, so what is refused is a gap between ranges."""
    if not cell.port_ranges:
        return [_port(number) for number in _SINGLE_PORTS] + [_port(443, "UDP")]
    ranges, first = [], 1
    for mail in (*MAIL_PORTS, _HIGHEST_PORT + 1):
        ranges.append({"protocol": "TCP", "port": first, "endPort": mail - 1})
        first = mail + 1
    return [*ranges, {"protocol": "UDP", "port": 1, "endPort": _HIGHEST_PORT}]
