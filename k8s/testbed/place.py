"""Where the testbed keeps its things, and at which addresses it answers."""

import os
from dataclasses import dataclass
from pathlib import Path

NODE = "localhost"  # the apiserver reaches the kubelet by this name, without DNS
BRIDGE = "fhcni0"
POD_RANGE = "10.244.0.0/16"
SERVICE_RANGE = "10.96.0.0/16"
FIRST_SERVICE = "10.96.0.1"
PAUSE_IMAGE = "docker.io/local/pause:1"
VERSION = "1.20.2"


@dataclass(frozen=True)
class Place:
    """state: removed by `down --wipe`. programs: what `build` made, kept. Ports are on 127.0.0.1."""

    state: Path
    programs: Path
    api_port: int = 6443
    etcd_port: int = 12379

    @property
    def kubeconfig(self) -> Path:
        return self.state / "admin.kubeconfig"

    @property
    def containerd_socket(self) -> Path:
        return self.state / "containerd" / "containerd.sock"

    @property
    def ctr(self) -> tuple[str, ...]:
        """The command that speaks to the node's containerd about Kubernetes' containers."""
        return ("ctr", "--address", str(self.containerd_socket), "--namespace", "k8s.io")

    def program(self, name: str) -> str:
        return str(self.programs / name)


def here() -> Place:
    """The place that the environment names (FREEHOLD_K8S_DIR, _CACHE, _BIN, _PORT), by default below ~/.cache/freehold."""
    caches = Path.home() / ".cache" / "freehold"
    built = Path(os.environ.get("FREEHOLD_K8S_CACHE", caches / f"kubernetes-{VERSION}"))
    return Place(
        state=Path(os.environ.get("FREEHOLD_K8S_DIR", caches / "cluster")).resolve(),
        programs=Path(os.environ.get("FREEHOLD_K8S_BIN", built / "bin")).resolve(),
        api_port=int(os.environ.get("FREEHOLD_K8S_PORT", "6443")),
    )
