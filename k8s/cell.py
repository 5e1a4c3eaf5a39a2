"""What a Kubernetes driver must know about its surroundings: a cell is one cluster with everything that faces it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from k8s.specs import Limits


@dataclass(frozen=True)
class Cell:
    """installation: UUID of this Freehold; on every object, and nothing without it is ever touched.

    images: runtime ("python", "node", "builder") → image. bundle_url: of the bundle server, as pods reach it, no slash at
    the end. gate_address: what apps' own host and the former platform's data hosts lead to; None leaves them alone.
    trusted: certificates (PEM) that apps and builds trust beside the public ones, "" for none.
    outside: the provider's address where it runs beside the cluster, outside_ports: its gate's; None: in pods of its own.
    pods: CIDRs in which pods have addresses, and come to the bundle server with them; empty: only kubelets say where they
    are. blocked: CIDRs, besides the private ones, that apps may not reach: nodes, apiserver endpoints. port_ranges: the
    server knows `endPort` in NetworkPolicies (1.22).
    request_percent: of limits, what the scheduler reserves. largest: what one instance may take at most; a rolling update
    needs as much on top of the plan. system: for builds and what else runs for the cloud. build_env: variables of builds
    that say where registries are and how one gets there.
    """

    installation: str
    images: Mapping[str, str]
    bundle_url: str
    gate_address: str | None = None
    trusted: str = ""
    outside: str | None = None
    outside_ports: tuple[int, ...] = ()
    blocked: tuple[str, ...] = ()
    pods: tuple[str, ...] = ()
    port_ranges: bool = True
    runtime_class: str | None = None
    storage_class: str | None = None
    request_percent: int = 25
    largest: Limits = Limits(cpu_millis=5000, memory_mib=5120)
    system: Limits = Limits(cpu_millis=5000, memory_mib=6144)
    build_env: Mapping[str, str] = field(default_factory=dict)

    def image(self, engine: str) -> str:
        """The runtime image for an engine of the Spacefile. The one for Node has Python too, so it serves the others."""
        return self.images["python" if engine.startswith("python") else "node"]
