"""What a cloud uses now, as the kubelets of its nodes count it. Needs `get` on nodes/metrics, and no metrics-server."""

import re
from collections.abc import Iterable

from k8s.kube.api import Api, path
from k8s.naming import Manifest
from k8s.specs import CloudUsage

_SAMPLE = re.compile(rb"^(?P<name>\w+)\{(?P<labels>[^}]*)\} (?P<value>\S+)")
_CPU, _MEMORY = b"container_cpu_usage_seconds_total", b"container_memory_working_set_bytes"
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
