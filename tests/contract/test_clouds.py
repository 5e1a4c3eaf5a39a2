from dataclasses import replace

import pytest

from k8s.errors import NotFound
from k8s.specs import InstanceSpec
from tests.contract.apps import Tenant, new_id
from tests.contract.lanes import Lane, until


def test_a_cloud_exists_from_the_moment_it_is_ensured(tenant: Tenant) -> None:
    assert tenant.lane.cluster.cloud_exists(tenant.cloud_id)


def test_ensuring_a_cloud_again_changes_nothing(tenant: Tenant) -> None:
    tenant.lane.cluster.ensure_cloud(tenant.cloud())
    assert tenant.lane.cluster.cloud_exists(tenant.cloud_id)


def test_an_unknown_cloud_does_not_exist_and_may_be_deleted(lane: Lane) -> None:
    unknown = new_id()
    lane.cluster.delete_cloud(unknown)
    assert not lane.cluster.cloud_exists(unknown)


def test_deleting_a_cloud_takes_its_instances_along(lane: Lane) -> None:
    tenant = Tenant(lane)
    lane.cluster.ensure_cloud(tenant.cloud())
    spec = tenant.instance()
    tenant.run(spec)
    lane.cluster.delete_cloud(tenant.cloud_id)
    lane.cluster.delete_cloud(tenant.cloud_id)
    until(lambda: not lane.cluster.cloud_exists(tenant.cloud_id))
    assert (spec.cloud_id, spec.instance_id) not in lane.cluster.list_instances()


def test_an_instance_cannot_be_put_into_an_unknown_cloud(lane: Lane) -> None:
    with pytest.raises(NotFound):
        lane.cluster.apply_instance(Tenant(lane).instance())


def test_usage_of_an_unknown_cloud_is_not_found(lane: Lane) -> None:
    with pytest.raises(NotFound):
        lane.cluster.usage(new_id())


def test_usage_counts_the_memory_and_time_of_what_runs(tenant: Tenant) -> None:
    tenant.run(tenant.instance())
    usage = tenant.lane.cluster.usage(tenant.cloud_id)
    assert usage.cpu_seconds > 0
    assert usage.memory_bytes > 1_000_000


def test_samples_grow_with_what_a_process_takes_and_a_new_process_is_another_source(tenant: Tenant) -> None:
    spec = tenant.instance()
    tenant.run(spec)
    driver = tenant.lane.cluster

    def of_this(spec: InstanceSpec) -> dict[str, int]:
        return {
            s.source: s.cpu_us for s in driver.samples() if s.owner == spec.instance_id and s.memory_bytes > 1_000_000
        }

    until(lambda: len(of_this(spec)) == 1)
    ((first, taken),) = of_this(spec).items()
    upstream = tenant.run(spec)

    def works() -> bool:
        tenant.lane.get(upstream, "/")
        return of_this(spec).get(first, 0) > taken

    until(works)
    tenant.run(replace(spec, generation=2, restart=spec.restart + 1))
    until(lambda: set(of_this(spec)) not in ({first}, set()))
    tenant.remove(spec)
    until(lambda: not of_this(spec))


def test_usage_counts_what_is_stored_on_volumes(tenant: Tenant) -> None:
    tenant.run(tenant.instance(volume=tenant.volume(), micros=(tenant.micro(env={"NOTES": "/data"}),)))
    assert tenant.lane.cluster.usage(tenant.cloud_id).storage_bytes >= 0
