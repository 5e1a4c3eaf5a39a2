"""What clouds and instances cost on a real Kubernetes, against the plainest thing that does the same in the same run.

Clouds by the hundred are made in a control plane of the bench's own, without a node, which is thrown away afterwards;
installing and waking are measured where pods run: the cluster that KUBECONFIG names, else the testbed of this machine.
"""

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from k8s.bundles import tokens
from k8s.bundles.tokens import Bearer, Kind
from k8s.kube.api import path
from k8s.manifests.instance import instance
from k8s.naming import Manifest
from k8s.testbed import node
from k8s.testbed.place import Place, here
from tests.bench.clouds import measure_clouds
from tests.bench.table import Figure, median
from tests.contract.apps import Tenant
from tests.contract.kubernetes_lane import KubernetesLane
from tests.contract.lanes import until
from tests.free_ports import free_port

ROUNDS = 9
INSTALL_LIMIT = 1.15


def measure() -> list[Figure]:
    folder = Path(tempfile.mkdtemp(prefix="freehold-bench-cluster-"))
    try:
        with control_plane(folder / "cluster") as place:
            figures = measure_clouds(place)
        with _a_cluster_with_nodes():
            from tests.bench import cluster_waking  # asks which cluster it is

            return [*_installing(folder), *cluster_waking.measure(), *figures]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def control_plane(state: Path) -> Iterator[Place]:
    """etcd, apiserver and controllers, no node. Nothing of it is left."""
    place = Place(state, here().programs, free_port(), free_port())
    node.up(place, control_plane_only=True)
    try:
        yield place
    finally:
        node.down(place, wipe=True)


@contextmanager
def _a_cluster_with_nodes() -> Iterator[None]:
    if os.environ.get("KUBECONFIG"):
        yield
        return
    ran_already = here().kubeconfig.exists() and _answers(here().kubeconfig)
    os.environ["KUBECONFIG"] = str(node.up(here()))
    try:
        yield
    finally:
        del os.environ["KUBECONFIG"]
        if not ran_already:
            node.down(here())


def _answers(kubeconfig: Path) -> bool:
    command = ("kubectl", "--kubeconfig", str(kubeconfig), "--request-timeout=3s", "get", "--raw", "/readyz")
    return subprocess.run(command, capture_output=True).returncode == 0


def _installing(folder: Path) -> list[Figure]:
    """The driver and `kubectl apply` take turns with the same objects, in one cloud."""
    lane = KubernetesLane(folder)
    tenant = Tenant(lane)
    try:
        lane.cluster.ensure_cloud(tenant.cloud())
        _round(lane, tenant, _by_kubectl)  # what both meet only the first time: images, caches
        ours, plain = [], []
        for _ in range(ROUNDS):
            ours.append(_round(lane, tenant, _by_the_driver))
            plain.append(_round(lane, tenant, _by_kubectl))
    finally:
        lane.close()
    return [
        Figure("install to Ready, p50", median(ours), "s"),
        Figure("kubectl apply of the same to Ready, p50", median(plain), "s"),
        Figure("install / kubectl apply", median(ours) / median(plain), "×", INSTALL_LIMIT),
    ]


def _round(lane: KubernetesLane, tenant: Tenant, install: Callable[[KubernetesLane, Tenant], Manifest]) -> float:
    """From the first call to a Ready pod, as the apiserver tells it; then everything goes again."""
    began = time.monotonic()
    deployment = install(lane, tenant)
    address = path("Deployment", deployment["metadata"]["namespace"], deployment["metadata"]["name"])
    until(lambda: bool(lane.api.get(address).get("status", {}).get("availableReplicas")), 60)
    took = time.monotonic() - began
    labels = deployment["metadata"]["labels"]
    lane.cluster.delete_instance(labels["freehold/cloud"], labels["freehold/instance"], delete_volume=True)
    until(lambda: not lane.cluster.instance_exists(tenant.cloud_id, labels["freehold/instance"]), 60)
    return took


def _by_the_driver(lane: KubernetesLane, tenant: Tenant) -> Manifest:
    spec = tenant.instance()
    lane.cluster.apply_instance(spec)
    return instance(spec, lane.cell, "")[-1]


def _by_kubectl(lane: KubernetesLane, tenant: Tenant) -> Manifest:
    spec = tenant.instance()
    token = tokens.issue(lane.key, Bearer(Kind.INSTANCE, spec.cloud_id, spec.instance_id))
    manifests = instance(spec, lane.cell, token)
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
    command = ("kubectl", "--kubeconfig", lane.admin, "apply", "-f", "-")
    subprocess.run(command, input=text, text=True, check=True, capture_output=True)
    return manifests[-1]
