"""What all our pods have in common: Pod Security `restricted`, and limits for everything."""

from typing import Any

from k8s.cell import Cell
from k8s.naming import ACCOUNT, Manifest
from k8s.specs import Limits

USER = 10001  # as in k8s/runtimes/images
GRACE_S = 10
TMP_MIB = 512


def pod_spec(cell: Cell, priority: str, container: Manifest, volumes: list[Manifest]) -> Manifest:
    spec: Manifest = {
        "serviceAccountName": ACCOUNT,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "priorityClassName": priority,
        "terminationGracePeriodSeconds": GRACE_S,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": volumes,
    }
    if cell.runtime_class:
        spec["runtimeClassName"] = cell.runtime_class
    return spec


CONTAINER_SECURITY: Manifest = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}


def resources(cell: Cell, limits: Limits, disk_mib: int) -> Manifest:
    def requested(amount: int) -> int:
        return max(1, amount * cell.request_percent // 100)

    return {
        "limits": {
            "cpu": f"{limits.cpu_millis}m",
            "memory": f"{limits.memory_mib}Mi",
            "ephemeral-storage": f"{disk_mib}Mi",
        },
        "requests": {
            "cpu": f"{requested(limits.cpu_millis)}m",
            "memory": f"{requested(limits.memory_mib)}Mi",
            "ephemeral-storage": f"{requested(disk_mib)}Mi",
        },
    }


def literal(text: str) -> str:
    """Kubernetes expands $(NAME) in commands and values; an app's shell line must arrive as it was written."""
    return text.replace("$", "$$")


def empty_dir(name: str, size_mib: int) -> Manifest:
    return {"name": name, "emptyDir": {"sizeLimit": f"{size_mib}Mi"}}


def env_list(values: dict[str, str]) -> list[dict[str, Any]]:
    return [{"name": name, "value": literal(value)} for name, value in values.items()]
