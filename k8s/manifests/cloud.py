"""One person's namespace and what holds it together."""

from k8s.cell import Cell
from k8s.manifests.network import policies
from k8s.naming import ACCOUNT, APPS_PRIORITY, CLOUD, INSTALLATION, ROLE, SYSTEM_PRIORITY, Manifest
from k8s.specs import CloudSpec

_MICROS = 5  # of one instance at most
_SYSTEM_PODS = 10
_SYSTEM_CLAIMS = 2  # the data server's, and a second one while it is restored
_SMALLEST_CLAIM_MIB = 256


def prerequisites() -> list[Manifest]:
    """What the cluster must have once, whatever the number of clouds: the two classes that quotas are told apart by."""
    return [
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": name},
            "value": value,
            "globalDefault": False,
            "preemptionPolicy": "Never",
            "description": description,
        }
        for name, value, description in (
            (APPS_PRIORITY, 1000, "People's apps."),
            (SYSTEM_PRIORITY, 2000, "What Freehold runs inside of people's clouds: data, builds, jobs."),
        )
    ]


def cloud(spec: CloudSpec, cell: Cell) -> list[Manifest]:
    """The namespace first. The last object being there with its hash means that all are."""
    inside = [*_quotas(spec, cell), _limit_range(spec, cell), *policies(spec, cell), *_accounts(spec, cell)]
    return [_namespace(spec, cell), *inside]


def _namespace(spec: CloudSpec, cell: Cell) -> Manifest:
    security = {
        f"pod-security.kubernetes.io/{mode}{suffix}": value
        for mode in ("enforce", "audit", "warn")
        for suffix, value in (("", "restricted"), ("-version", "latest"))
    }
    labels = {**_labels(spec, cell), ROLE: "cloud", **security}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": spec.namespace, "labels": labels}}


def _labels(spec: CloudSpec, cell: Cell) -> dict[str, str]:
    return {INSTALLATION: cell.installation, CLOUD: spec.cloud_id}


def _quotas(spec: CloudSpec, cell: Cell) -> list[Manifest]:
    """The third has no scope: what is no pod cannot be counted under one, and it bounds pods of no class too."""
    surge_cpu = min(spec.cpu_millis, cell.largest.cpu_millis)
    surge_memory = min(spec.memory_mib, cell.largest.memory_mib)
    apps = _compute(spec.cpu_millis + surge_cpu, spec.memory_mib + surge_memory, _MICROS * (spec.instances + 1))
    system = _compute(cell.system.cpu_millis, cell.system.memory_mib, _SYSTEM_PODS)
    total = _compute(
        spec.cpu_millis + surge_cpu + cell.system.cpu_millis,
        spec.memory_mib + surge_memory + cell.system.memory_mib,
        _MICROS * (spec.instances + 1) + _SYSTEM_PODS,
    )
    return [
        _quota(spec, cell, "apps", apps, APPS_PRIORITY),
        _quota(spec, cell, "system", system, SYSTEM_PRIORITY),
        _quota(spec, cell, "objects", {**total, **_objects(spec)}, None),
    ]


def _compute(cpu_millis: int, memory_mib: int, pods: int) -> dict[str, str]:
    return {"limits.cpu": f"{cpu_millis}m", "limits.memory": f"{memory_mib}Mi", "pods": str(pods)}


def _objects(spec: CloudSpec) -> dict[str, str]:
    counts = {
        "services": _MICROS * spec.instances + _SYSTEM_PODS,
        "services.nodeports": 0,
        "services.loadbalancers": 0,
        "secrets": spec.instances + 2 * _SYSTEM_PODS,
        "configmaps": spec.instances + _SYSTEM_PODS,
        "persistentvolumeclaims": spec.instances + _SYSTEM_CLAIMS,
        "count/deployments.apps": _MICROS * spec.instances + _SYSTEM_PODS,
        "count/jobs.batch": 5 * _SYSTEM_PODS,
    }
    # A data server's volume is as large as the plan's storage, and none of it is taken from the apps' volumes.
    storage = spec.storage_mib + _SYSTEM_CLAIMS * max(spec.storage_mib, _SMALLEST_CLAIM_MIB)
    return {"requests.storage": f"{storage}Mi", **{name: str(count) for name, count in counts.items()}}


def _quota(spec: CloudSpec, cell: Cell, name: str, hard: dict[str, str], priority: str | None) -> Manifest:
    body: Manifest = {"hard": hard}
    if priority:
        scope = {"scopeName": "PriorityClass", "operator": "In", "values": [priority]}
        body["scopeSelector"] = {"matchExpressions": [scope]}
    return _inside(spec, cell, "ResourceQuota", name, {"spec": body})


def _limit_range(spec: CloudSpec, cell: Cell) -> Manifest:
    """Nothing is ever without limits, not even what others put here; our own containers set theirs."""
    limit = {
        "type": "Container",
        "default": {"cpu": "200m", "memory": "256Mi", "ephemeral-storage": "512Mi"},
        "defaultRequest": {"cpu": "20m", "memory": "32Mi", "ephemeral-storage": "16Mi"},
    }
    return _inside(spec, cell, "LimitRange", "defaults", {"spec": {"limits": [limit]}})


def _accounts(spec: CloudSpec, cell: Cell) -> list[Manifest]:
    """Without a token: also the account that Kubernetes makes by itself and gives to pods that name none."""
    names = ("default", ACCOUNT)
    return [_inside(spec, cell, "ServiceAccount", name, {"automountServiceAccountToken": False}) for name in names]


def _inside(spec: CloudSpec, cell: Cell, kind: str, name: str, body: Manifest) -> Manifest:
    metadata = {"name": name, "namespace": spec.namespace, "labels": _labels(spec, cell)}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **body}
