"""What clouds use, as the kubelets of their nodes count it. Needs `get` on nodes/metrics, and no metrics-server."""

import logging
import re
from collections.abc import Iterable

from k8s.errors import ClusterError
from k8s.kube.api import Api, path
from k8s.naming import Manifest, owner_of_pod
from k8s.specs import CloudUsage, Sample

log = logging.getLogger(__name__)

_SAMPLE = re.compile(rb"^(?P<name>\w+)\{(?P<labels>[^}]*)\} (?P<value>\S+)")
_CPU, _MEMORY = b"container_cpu_usage_seconds_total", b"container_memory_working_set_bytes"
_START = b"container_start_time_seconds"  # newer kubelets
_SAMPLED = {_CPU, _MEMORY, _START}
_LABEL = re.compile(rb'(\w+)="([^"]*)"')
_VOLUME = b"kubelet_volume_stats_used_bytes"


def usage(api: Api, namespace: str, pods: Iterable[Manifest]) -> CloudUsage:
    """cpu_seconds are those of the containers that run now. Raises Temporary when a kubelet cannot be asked."""
    nodes = {pod["spec"]["nodeName"] for pod in pods if pod["spec"].get("nodeName")}
    sums = dict.fromkeys((_CPU, _MEMORY, _VOLUME), 0.0)
    for name in sorted(nodes):
        node = api.get(path("Node", name=name))
        for page in ("/metrics/resource", "/metrics"):
            for line in api.kubelet(node, page):
                sample = _SAMPLE.match(line)
                if sample and sample["name"] in sums and f'namespace="{namespace}"'.encode() in sample["labels"]:
                    sums[sample["name"]] += float(sample["value"])
    return CloudUsage(sums[_CPU], int(sums[_MEMORY]), int(sums[_VOLUME]))


def samples(api: Api) -> list[Sample]:
    """Of every pod that is named as ours; whose they are the caller's own rows tell."""
    found: list[Sample] = []
    for node in api.items(path("Node"), ""):
        try:
            found += parsed(api.kubelet(node, "/metrics/resource"))
        except ClusterError as error:
            log.warning("node_not_measured node=%s why=%s", node["metadata"]["name"], error)
    return found


def parsed(lines: Iterable[bytes]) -> list[Sample]:
    """What a page of ten thousand containers costs is what is done per line: labels are read once per container."""
    containers: dict[bytes, dict[bytes, float]] = {}
    for line in lines:
        name, brace, rest = line.partition(b"{")
        if not brace or name not in _SAMPLED:
            continue
        labels, _, value = rest.partition(b"} ")
        containers.setdefault(labels, {})[name] = float(value.split(b" ", 1)[0])
    found = ((_named(labels), values) for labels, values in containers.items())
    return [
        Sample(
            owner=owner,
            source=f"{'/'.join(which)}@{values.get(_START, 0):.3f}",
            cpu_us=round(values.get(_CPU, 0) * 1e6),
            memory_bytes=int(values.get(_MEMORY, 0)),
        )
        for which, values in found
        if (owner := owner_of_pod(which[1]))
    ]


def _named(labels: bytes) -> tuple[str, str, str]:
    """(namespace, pod, container)."""
    found = {key: value.decode() for key, value in _LABEL.findall(labels)}
    return found.get(b"namespace", ""), found.get(b"pod", ""), found.get(b"container", "")
