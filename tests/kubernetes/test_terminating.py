"""A namespace that cannot go: told with its cause, waited for, never forced."""

import pytest

from k8s.errors import Temporary
from k8s.kube.api import path
from k8s.naming import Manifest
from tests.contract.apps import Tenant
from tests.contract.kubernetes_lane import KubernetesLane
from tests.contract.lanes import until

KEEPS = "freehold.test/keeps"


def held(tenant: Tenant, finalizers: list[str]) -> Manifest:
    metadata = {"name": "held", "namespace": tenant.cloud().namespace, "finalizers": finalizers}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}


def test_a_namespace_that_a_finalizer_holds_is_told_and_goes_by_itself_afterwards(
    lane: KubernetesLane, tenant: Tenant
) -> None:
    secret = path("Secret", tenant.cloud().namespace, "held")
    lane.api.apply(held(tenant, [KEEPS]))
    try:
        lane.cluster.delete_cloud(tenant.cloud_id)
        # Kubernetes says so after its first round through the namespace.
        until(lambda: "NamespaceFinalizersRemaining" in lane.cluster.what_holds(tenant.cloud_id), 60)
        why = lane.cluster.what_holds(tenant.cloud_id)
        assert f"Secret “held” waits for {KEEPS}" in why
        assert f"{KEEPS} in 1 resource instances" in why
        assert "NamespaceContentRemaining" in why
        with pytest.raises(Temporary, match=f"is still being removed: Secret “held” waits for {KEEPS}"):
            lane.driver_as("worker").ensure_cloud(tenant.cloud())
        lane.cluster.delete_cloud(tenant.cloud_id)  # asked again, as each look does: nothing is forced
        assert lane.api.get(secret, metadata_only=True)["metadata"]["finalizers"] == [KEEPS]
    finally:
        lane.api.apply(held(tenant, []))
    until(lambda: not lane.cluster.cloud_exists(tenant.cloud_id))
    assert lane.cluster.what_holds(tenant.cloud_id) == ""


def test_nothing_holds_a_cloud_that_stays(lane: KubernetesLane, tenant: Tenant) -> None:
    assert lane.cluster.what_holds(tenant.cloud_id) == ""
