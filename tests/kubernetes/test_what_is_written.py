"""The difference is written, and nothing else; what somebody took away comes back."""

from dataclasses import replace

import pytest

from k8s import naming
from k8s.errors import NotFound, Temporary
from k8s.kube.api import path
from k8s.manifests.cloud import cloud
from tests.contract.apps import Tenant
from tests.contract.kubernetes_lane import KubernetesLane
from tests.contract.lanes import until
from tests.kubernetes.counting import counted


def test_what_is_so_already_is_not_written_again(lane: KubernetesLane, tenant: Tenant) -> None:
    spec = tenant.instance(volume=tenant.volume())
    lane.cluster.apply_instance(spec)
    api, other_worker = counted(lane)
    assert not other_worker.apply_instance(spec)
    other_worker.ensure_cloud(tenant.cloud())
    assert api.writes == []


def test_what_this_process_applied_already_costs_no_call(lane: KubernetesLane, tenant: Tenant) -> None:
    spec = tenant.instance(volume=tenant.volume())
    api, worker = counted(lane)
    worker.ensure_cloud(tenant.cloud())
    assert worker.apply_instance(spec)
    api.asked.clear()
    worker.ensure_cloud(tenant.cloud())
    assert not worker.apply_instance(spec)
    assert api.asked == []


def test_what_another_process_removed_is_not_believed_to_be_there(lane: KubernetesLane, tenant: Tenant) -> None:
    spec = tenant.instance(replicas=0)
    _, worker = counted(lane)
    worker.apply_instance(spec)
    tenant.remove(spec)
    with pytest.raises(NotFound):
        worker.observe(spec.cloud_id, spec.instance_id)
    assert worker.apply_instance(spec)


def test_a_changed_generation_touches_no_pod_and_no_service(lane: KubernetesLane, tenant: Tenant) -> None:
    spec = tenant.instance()
    tenant.run(spec)
    api, other_worker = counted(lane)
    assert other_worker.apply_instance(replace(spec, generation=2))
    name = naming.micro_name(spec.instance_id, "main")
    secret = path("Secret", spec.namespace, naming.instance_name(spec.instance_id))
    assert api.writes == [("PATCH", secret), ("PATCH", path("Deployment", spec.namespace, name))]


def test_a_new_cloud_costs_a_call_per_object_and_one_more(lane: KubernetesLane) -> None:
    api, worker = counted(lane)
    first, second = Tenant(lane), Tenant(lane)
    worker.ensure_cloud(first.cloud())
    before = len(api.asked)
    worker.ensure_cloud(second.cloud())
    assert len(api.asked) - before <= len(cloud(second.cloud(), lane.cell)) + 1
    for made in (first, second):
        lane.cluster.delete_cloud(made.cloud_id)


@pytest.mark.parametrize("kind", ["Deployment", "Service"])
def test_what_somebody_deleted_is_made_again(lane: KubernetesLane, tenant: Tenant, kind: str) -> None:
    spec = tenant.instance()
    tenant.run(spec)
    taken = path(kind, spec.namespace, naming.micro_name(spec.instance_id, "main"))
    lane.api.delete(taken)
    assert not tenant.is_at(spec)
    assert lane.cluster.apply_instance(spec)
    until(lambda: tenant.status(spec).ready)
    assert lane.get(tenant.status(spec).micros[0].upstream or "") == "hello"


def test_a_micro_that_is_no_more_leaves_nothing(lane: KubernetesLane, tenant: Tenant) -> None:
    both = tenant.instance(micros=(tenant.micro("front"), tenant.micro("back")))
    lane.cluster.apply_instance(both)
    lane.cluster.apply_instance(replace(both, generation=2, micros=both.micros[:1]))
    for kind in ("Deployment", "Service"):
        found = lane.api.items(path(kind, both.namespace), f"freehold/instance={both.instance_id}")
        assert [one["metadata"]["name"] for one in found] == [naming.micro_name(both.instance_id, "front")]


def test_a_writer_that_looked_too_long_ago_does_not_overwrite(lane: KubernetesLane, tenant: Tenant) -> None:
    spec = tenant.instance(replicas=0)
    lane.cluster.apply_instance(spec)
    address = path("Deployment", spec.namespace, naming.micro_name(spec.instance_id, "main"))
    seen = lane.api.get(address, metadata_only=True)["metadata"]["resourceVersion"]
    lane.cluster.apply_instance(replace(spec, generation=2))
    metadata = {"name": address.rsplit("/", 1)[1], "namespace": spec.namespace}
    stale = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata}
    with pytest.raises(Temporary):
        lane.api.apply(stale, resource_version=seen)
    assert tenant.status(spec).generation == 2


def test_another_installation_sees_nothing_of_it(lane: KubernetesLane, tenant: Tenant) -> None:
    spec = tenant.instance(replicas=0)
    lane.cluster.apply_instance(spec)
    _, stranger = counted(lane)
    stranger._cell = replace(lane.cell, installation="00000000-0000-4000-8000-000000000000")
    assert stranger.list_instances() == []
    assert not stranger.cloud_exists(tenant.cloud_id)
    stranger.delete_cloud(tenant.cloud_id)
    assert (spec.cloud_id, spec.instance_id) in lane.cluster.list_instances()
