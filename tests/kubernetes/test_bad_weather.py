"""The cluster refuses, is full, lacks something or is away: a person reads what to do, and it heals by itself afterwards."""

import contextlib
import queue
import subprocess
import threading
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from k8s.errors import Permanent, Temporary
from k8s.kube.api import Api, path
from k8s.kube.driver import KubeCluster
from k8s.specs import Change, InstanceSpec, Limits
from k8s.testbed.place import here
from tests.contract.apps import Tenant
from tests.contract.kubernetes_lane import KubernetesLane
from tests.contract.lanes import until
from tests.kubernetes.door import Door


def reason(tenant: Tenant, spec: InstanceSpec) -> str:
    return tenant.status(spec).micros[0].reason


def test_an_image_that_is_missing_is_told_and_used_once_it_is_there(lane: KubernetesLane, tenant: Tenant) -> None:
    if not lane.on_testbed:
        pytest.skip("only the testbed's node takes images from here")
    image = f"docker.io/freehold/missing:{uuid.uuid4().hex}"
    elsewhere = replace(lane.cell, images={**lane.cell.images, "python": image})
    spec = tenant.instance()
    KubeCluster(lane.api, elsewhere, lane.key, lane.results).apply_instance(spec)
    until(lambda: "its image cannot be fetched; the operator must provide it" in reason(tenant, spec), 60)
    try:
        subprocess.run((*here().ctr, "images", "tag", lane.cell.images["python"], image), check=True)
        until(lambda: tenant.status(spec).ready, 120)  # a kubelet's pauses between two tries grow to minutes
    finally:
        subprocess.run((*here().ctr, "images", "rm", image), check=True)


def test_a_full_cluster_is_told_and_the_next_gets_the_room(lane: KubernetesLane, tenant: Tenant) -> None:
    lane.ensure_counted(replace(tenant.cloud(), cpu_millis=1_000_000))
    node = lane.api.items(path("Node"), "")[0]["status"]["allocatable"]["cpu"]
    millis = int(node.removesuffix("m")) if node.endswith("m") else int(node) * 1000
    reserves = KubeCluster(lane.api, replace(lane.cell, request_percent=100), lane.key, lane.results)
    whole = tenant.micro(limits=Limits(cpu_millis=millis * 6 // 10, memory_mib=64))
    first, second = (tenant.instance(micros=(whole,), ready_timeout_s=5) for _ in range(2))
    reserves.apply_instance(first)
    until(lambda: tenant.status(first).ready, 60)
    reserves.apply_instance(second)
    until(lambda: "found no room in the cluster" in reason(tenant, second), 60)
    tenant.remove(first)
    until(lambda: tenant.status(second).ready, 60)


def test_what_exceeds_the_clouds_quota_is_told_and_comes_up_with_a_larger_one(
    lane: KubernetesLane, tenant: Tenant
) -> None:
    small = replace(tenant.cloud(), cpu_millis=100, memory_mib=64)
    lane.ensure_counted(small)
    spec = tenant.instance(micros=(tenant.micro(limits=Limits(cpu_millis=500, memory_mib=64)),))
    lane.cluster.apply_instance(spec)
    until(lambda: "does not fit into the cloud" in reason(tenant, spec), 60)
    lane.cluster.ensure_cloud(tenant.cloud())
    # Kubernetes tries to make refused pods again after 1, 2, 4 … s: the pause when the quota grows may be over 30 s.
    until(lambda: tenant.status(spec).ready, 90)


def test_more_instances_than_the_cloud_may_hold_are_refused_with_advice(lane: KubernetesLane, tenant: Tenant) -> None:
    lane.ensure_counted(replace(tenant.cloud(), instances=0))
    with pytest.raises(Permanent, match="ask the operator for a larger quota"):
        for _ in range(25):
            lane.cluster.apply_instance(tenant.instance(replicas=0))


def test_an_apiserver_that_is_away_is_waited_for(lane: KubernetesLane, tenant: Tenant, tmp_path: Path) -> None:
    door = Door(lane.kubeconfig, tmp_path)
    driver = KubeCluster(Api(door.kubeconfig, None), lane.cell, lane.key, lane.results)
    told: queue.SimpleQueue[Change] = queue.SimpleQueue()
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            with contextlib.suppress(Temporary):
                for change in driver.watch(1, resume=True):
                    told.put(change)

    before, after = tenant.instance(replicas=0), tenant.instance(replicas=0)
    driver.apply_instance(before)
    threading.Thread(target=watch, daemon=True).start()
    while told.get(timeout=20).instance_id != before.instance_id:
        pass
    door.shut()
    with pytest.raises(Temporary, match="cannot be reached"):
        driver.observe(before.cloud_id, before.instance_id)
    with pytest.raises(Temporary, match="cannot be reached"):
        driver.apply_instance(after)
    lane.cluster.apply_instance(after)  # somebody else's way is open
    door.open()
    while told.get(timeout=20).instance_id != after.instance_id:
        pass
    assert not driver.apply_instance(after)
    over.set()
    door.shut()
