"""k8s/deploy as `kubectl kustomize` renders it."""

import re
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "k8s" / "deploy"
Object = dict[str, Any]
VARIABLE = re.compile(r"\$\(([A-Z_]+)\)")


@cache
def objects(folder: str = "overlays/example") -> tuple[Object, ...]:
    """Not to be changed by whoever gets them."""
    command = ("kubectl", "kustomize", str(DEPLOY / folder))
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return tuple(yaml.safe_load_all(done.stdout))


def of_kind(*kinds: str, folder: str = "overlays/example") -> dict[str, Object]:
    """By name."""
    return {one["metadata"]["name"]: one for one in objects(folder) if one["kind"] in kinds}


def pods() -> dict[str, Object]:
    """Name of Deployment or Job → its pods' metadata and spec."""
    return {name: one["spec"]["template"] for name, one in of_kind("Deployment", "Job").items()}


def containers(pod: Object) -> list[Object]:
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def every_container() -> list[tuple[str, Object, Object]]:
    """(workload, pod template, container)."""
    return [(name, pod, one) for name, pod in pods().items() for one in containers(pod)]


def settings() -> dict[str, str]:
    found: dict[str, str] = of_kind("ConfigMap")["settings"]["data"]
    return found


def service_variables() -> dict[str, str]:
    """What Kubernetes tells every pod of its namespace about Services; addresses invented."""
    found = {}
    for number, (name, service) in enumerate(sorted(of_kind("Service").items()), 1):
        variable = name.upper().replace("-", "_")
        found[f"{variable}_SERVICE_HOST"] = f"10.96.0.{number}"
        found[f"{variable}_SERVICE_PORT"] = str(service["spec"]["ports"][0]["port"])
    return found


def environment(container: Object, secret: str = "s" * 40, services: Mapping[str, str] | None = None) -> dict[str, str]:
    """As the container would see it: every value from a Secret is `secret`. KeyError for a $(NAME) that nothing defines.

    services: where they are, if not at invented addresses.
    """
    known = {**service_variables(), **(services or {})}
    own = dict(settings()) if container.get("envFrom") else {}
    for entry in container.get("env", []):
        if "value" in entry:
            own[entry["name"]] = VARIABLE.sub(lambda found: {**known, **own}[found[1]], entry["value"])
        else:
            own[entry["name"]] = secret
    return own
