"""A data server's volume grows with its plan where its storage class allows that, and stays where it does not."""

import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest

from k8s import naming
from k8s.kube.api import Api, path
from k8s.kube.driver import KubeCluster
from k8s.kube.growing import asked
from k8s.specs import InstanceSpec, Role, VolumeSpec
from tests.contract.apps import Tenant
from tests.contract.kubernetes_lane import KubernetesLane
from tests.contract.lanes import until

MIB = 2**20
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"


@pytest.fixture
def growing_class(lane: KubernetesLane) -> Iterator[str]:
    """Like the testbed's own, but for what it allows. Its provisioner never does it: what is asked of it is seen."""
    if not lane.on_testbed:
        pytest.skip("makes a storage class of the testbed's provisioner")
    name = f"grows-{uuid.uuid4().hex[:8]}"
    body = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
        "provisioner": "kubernetes.io/host-path",
        "allowVolumeExpansion": True,
    }
    lane.api._json("POST", CLASSES, body=body)
    yield name
    lane.api.delete(f"{CLASSES}/{name}")


def data_server(tenant: Tenant, size_mib: int) -> InstanceSpec:
    return tenant.instance(volume=VolumeSpec("/data", size_mib), role=Role.DATA)


def claim_mib(lane: KubernetesLane, spec: InstanceSpec) -> int:
    claim = lane.api.get(path("PersistentVolumeClaim", spec.namespace, naming.instance_name(spec.instance_id)))
    return asked(claim) // MIB


def running(lane: KubernetesLane, cluster: KubeCluster, spec: InstanceSpec) -> bool:
    status = cluster.observe(spec.cloud_id, spec.instance_id)
    return status.ready and status.generation == spec.generation


def test_it_grows_and_never_shrinks(lane: KubernetesLane, tenant: Tenant, growing_class: str) -> None:
    cell = replace(lane.cell, storage_class=growing_class)
    cluster = KubeCluster(Api(lane.identities.kubeconfig("worker"), None), cell, lane.key, lane.results)
    spec = data_server(tenant, 16)
    cluster.apply_instance(spec)
    until(lambda: running(lane, cluster, spec))
    for generation, wanted, has in ((2, 32, 32), (3, 16, 32)):
        spec = replace(spec, generation=generation, volume=VolumeSpec("/data", wanted))
        cluster.apply_instance(spec)
        assert claim_mib(lane, spec) == has
        until(lambda spec=spec: running(lane, cluster, spec))


def test_where_the_class_does_not_allow_it_the_rest_is_applied(
    lane: KubernetesLane, tenant: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    spec = data_server(tenant, 16)
    lane.driver.apply_instance(spec)
    until(lambda: running(lane, lane.driver, spec))
    larger = replace(spec, generation=2, volume=VolumeSpec("/data", 32))
    lane.driver.apply_instance(larger)
    until(lambda: running(lane, lane.driver, larger))
    if lane.on_testbed:
        assert claim_mib(lane, larger) == 16
        assert "volume_does_not_grow" in caplog.text and naming.instance_name(spec.instance_id) in caplog.text
