"""The rights that k8s/deploy ships: enough for a whole life, and not one more."""

import itertools
from dataclasses import replace

import pytest

from k8s import naming
from k8s.cluster import Cluster
from k8s.errors import NotFound, Permanent
from k8s.kube.api import Api, path
from k8s.kube.driver import KubeCluster
from k8s.specs import BuildMicro, CloudSpec
from tests.contract.apps import Tenant
from tests.contract.kubernetes_lane import KubernetesLane
from tests.contract.lanes import until
from tests.k8s_deploy.rendered import of_kind
from tests.kubernetes.counting import CountingApi

SITE = BuildMicro("site", "static", "site", serve=".", commands=("echo built",))


def granted(role: str) -> set[tuple[str, str]]:
    rules = of_kind("ClusterRole", folder="base")[role]["rules"]
    return {pair for rule in rules for pair in itertools.product(rule["verbs"], rule["resources"])}


def as_account(lane: KubernetesLane, account: str) -> tuple[CountingApi, KubeCluster]:
    api = CountingApi(lane.identities.kubeconfig(account))
    return api, KubeCluster(api, lane.cell, lane.key, lane.results)


def test_the_driver_uses_every_right_that_it_has_and_needs_no_other(lane: KubernetesLane) -> None:
    api, driver = as_account(lane, "observer")
    live_whole_life(lane, driver)
    written = {resource for verb, resource in api.used if verb == "patch"}
    used = api.used | {("create", resource) for resource in written}  # apply makes what is not there yet
    used |= {("get", resource) for resource in written}  # asked only after an answer that was lost
    assert used == granted("freehold-driver")


def live_whole_life(lane: KubernetesLane, driver: KubeCluster) -> None:
    tenant = Tenant(_Through(lane, driver))
    driver.ensure_cloud(tenant.cloud())
    assert driver.cloud_exists(tenant.cloud_id)
    KubeCluster(driver._api, lane.cell, lane.key, lane.results).ensure_cloud(tenant.cloud())  # looks, as it is there
    both = tenant.instance(micros=(tenant.micro("front"), tenant.micro("back")), volume=tenant.volume())
    tenant.run(both)
    assert driver.list_instances() == [(both.cloud_id, both.instance_id)]
    assert list(driver.logs(both.cloud_id, both.instance_id))
    assert driver.usage(tenant.cloud_id).memory_bytes > 0
    assert both.instance_id in {sample.owner for sample in driver.samples()}
    driver.comes_up(both.cloud_id, both.instance_id, f"{naming.micro_name(both.instance_id, 'front')}-x", "10.244.9.9")
    changes = driver.watch(3)
    assert next(changes).cloud_id == tenant.cloud_id
    driver.apply_instance(replace(both, generation=2, micros=both.micros[:1]))
    list(changes)
    build = tenant.build({"site/index.html": "hello"}, SITE)
    driver.run_build(build)
    until(lambda: driver.build_status(build.cloud_id, build.job_id).artifact is not None, 120)
    assert list(driver.build_logs(build.cloud_id, build.job_id))
    list(driver.build_logs(build.cloud_id, build.job_id, follow=True))
    driver.delete_build(build.cloud_id, build.job_id)
    tenant.remove(both)
    driver.delete_cloud(tenant.cloud_id)


class _Through:
    """The lane's stores with another driver."""

    def __init__(self, lane: KubernetesLane, driver: KubeCluster) -> None:
        self.cluster: Cluster = driver
        self.artifact, self.source, self.get, self.crash = lane.artifact, lane.source, lane.get, lane.crash
        self.image = lane.image


def test_live_shows_logs_and_reads_no_secret(lane: KubernetesLane, tenant: Tenant) -> None:
    spec = tenant.instance()
    tenant.run(spec)
    build = tenant.build({"site/index.html": "hello"}, SITE)
    lane.cluster.run_build(build)
    until(lambda: lane.cluster.build_status(build.cloud_id, build.job_id).artifact is not None, 120)
    api, live = as_account(lane, "live")
    assert "starting" in [line.text for line in live.logs(spec.cloud_id, spec.instance_id)]
    following = live.logs(spec.cloud_id, spec.instance_id, follow=True)
    assert next(following).text
    assert "built" in [line.text for line in live.build_logs(build.cloud_id, build.job_id)]
    assert live.build_status(build.cloud_id, build.job_id).artifact
    tenant.remove(spec)
    for _ in following:
        pass  # until it has seen that the pod ended, and that nothing is left
    assert api.used == granted("freehold-logs")
    with pytest.raises(Permanent, match="forbidden"):
        live.observe(spec.cloud_id, spec.instance_id)


def test_the_bundle_server_only_looks(lane: KubernetesLane, tenant: Tenant) -> None:
    spec = tenant.instance(replicas=0)
    lane.cluster.apply_instance(spec)
    build = tenant.build({"site/index.html": "hello"}, SITE)
    lane.cluster.run_build(build)
    api, bundles = as_account(lane, "bundles")
    assert not bundles.wants(spec.cloud_id, spec.instance_id, spec.artifact)  # no pod asks for it
    assert bundles.build(build.cloud_id, build.job_id).source == build.source
    pod = f"{naming.micro_name(spec.instance_id, 'main')}-x"
    for _ in range(2):  # a container that starts again in the same pod
        bundles.comes_up(spec.cloud_id, spec.instance_id, pod, "10.244.9.9")
    bundles.comes_up(spec.cloud_id, spec.instance_id, pod.replace(spec.instance_id, "another"), "10.244.9.9")
    bundles.comes_up(spec.cloud_id, spec.instance_id, f"{pod}y", "192.0.2.1")
    told = lane.api.items(path("Event", spec.namespace), naming.INSTANCE)
    assert [found["metadata"]["name"] for found in told] == [pod]
    assert api.used == granted("freehold-bundles")
    with pytest.raises(Permanent, match="forbidden"):
        bundles.delete_cloud(spec.cloud_id)


def test_who_has_no_right_is_refused(lane: KubernetesLane, tenant: Tenant) -> None:
    nobody = lane.driver_as("silent")
    with pytest.raises(Permanent, match="forbidden"):
        nobody.cloud_exists(tenant.cloud_id)
    with pytest.raises(Permanent, match="forbidden"):
        nobody.ensure_cloud(CloudSpec("x1", "cloud-x1", 100, 100, 100, 1))


def test_the_driver_reaches_nothing_of_a_kubelet_but_its_numbers(lane: KubernetesLane) -> None:
    api = Api(lane.kubeconfig, None)
    node = lane.api.items(path("Node"), "")[0]
    named = api.get(path("Node", name=node["metadata"]["name"]))
    assert api.kubelet(named, "/metrics/resource")
    for page in ("/pods", "/configz", "/logs/", "/runningpods/"):
        with pytest.raises((Permanent, NotFound)):
            api.kubelet(named, page)
    with pytest.raises(Permanent, match="forbidden"):
        api.get(f"{path('Node', name=node['metadata']['name'])}/proxy/pods")
