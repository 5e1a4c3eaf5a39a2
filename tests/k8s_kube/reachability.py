"""What NetworkPolicies allow, computed as Kubernetes would."""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Policies = Sequence[Mapping[str, Any]]  # objects, whole


@dataclass(frozen=True)
class Pod:
    """namespace: the labels of the one that it is in; two namespaces with the same labels are the same one."""

    role: str
    namespace: Mapping[str, str]
    more: Mapping[str, str] = field(default_factory=dict)

    @property
    def labels(self) -> dict[str, str]:
        return {"freehold/role": self.role, **self.more}


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    for expression in selector.get("matchExpressions", []):
        assert expression["operator"] in ("In", "DoesNotExist"), "the evaluator knows no other operators"
        if expression["operator"] == "DoesNotExist":
            if expression["key"] in labels:
                return False
        elif labels.get(expression["key"]) not in expression["values"]:
            return False
    return labels.items() >= selector.get("matchLabels", {}).items()


def allowed(policies: Policies, direction: str, pod: Pod, other: Pod | str, port: int, protocol: str = "TCP") -> bool:
    """direction: "ingress" or "egress" of `pod`, where the policies are. other: a pod, or an address outside."""
    word = "from" if direction == "ingress" else "to"
    mine = [policy["spec"] for policy in policies if selects(policy["spec"]["podSelector"], pod.labels)]
    if not any(direction.capitalize() in spec["policyTypes"] for spec in mine):
        return True  # nobody says anything about this direction
    rules = [rule for spec in mine if direction.capitalize() in spec["policyTypes"] for rule in spec.get(direction, [])]
    return any(
        (not rule.get(word) or any(_is_peer(peer, other, pod.namespace) for peer in rule[word]))
        and _is_port(rule.get("ports", []), port, protocol)
        for rule in rules
    )


def connects(policies: Policies, client: Pod, server: Pod, port: int, protocol: str = "TCP") -> bool:
    """Both ends must agree. policies: of the one namespace that both are in."""
    leaves = allowed(policies, "egress", client, server, port, protocol)
    return leaves and allowed(policies, "ingress", server, client, port, protocol)


def _is_peer(peer: Mapping[str, Any], other: Pod | str, home: Mapping[str, str]) -> bool:
    if isinstance(other, str):
        block, address = peer.get("ipBlock"), ipaddress.ip_address(other)
        if not block or address not in ipaddress.ip_network(block["cidr"]):
            return False
        return not any(address in ipaddress.ip_network(cidr) for cidr in block.get("except", []))
    if "ipBlock" in peer:
        return False
    near = "namespaceSelector" not in peer and other.namespace == home
    far = "namespaceSelector" in peer and selects(peer["namespaceSelector"], other.namespace)
    return (near or far) and selects(peer.get("podSelector", {}), other.labels)


def _is_port(ports: Sequence[Mapping[str, Any]], number: int, protocol: str) -> bool:
    return not ports or any(
        p.get("protocol", "TCP") == protocol and p["port"] <= number <= p.get("endPort", p["port"]) for p in ports
    )
