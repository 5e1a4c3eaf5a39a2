"""Every test here runs on every driver: a lane is one driver with what it needs.

`make test` takes the machine's own, `make test-cluster` a Kubernetes (FREEHOLD_TEST_LANE=kubernetes and KUBECONFIG).
"""

import os
from collections.abc import Iterator

import pytest

from tests.contract.apps import Tenant
from tests.contract.lanes import Lane, LocalLane

LANE = os.environ.get("FREEHOLD_TEST_LANE", "local")


@pytest.fixture(scope="session", params=[LANE])
def lane(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lane]:
    folder = tmp_path_factory.mktemp("lane")
    if request.param == "local":
        local = LocalLane(folder, "--allow-unisolated")
        yield local
        local.close()
    else:
        from tests.contract.kubernetes_lane import KubernetesLane

        kubernetes = KubernetesLane(folder)
        yield kubernetes
        kubernetes.close()


@pytest.fixture
def tenant(lane: Lane) -> Iterator[Tenant]:
    """A cloud of the test's own, removed with all that is in it."""
    tenant = Tenant(lane)
    lane.cluster.ensure_cloud(tenant.cloud())
    yield tenant
    lane.cluster.delete_cloud(tenant.cloud_id)
