"""Every test here runs on every driver: a lane is one driver with what it needs."""

from collections.abc import Iterator

import pytest

from tests.contract.apps import Tenant
from tests.contract.lanes import Lane, LocalLane


@pytest.fixture(scope="session", params=["local"])
def lane(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lane]:
    local = LocalLane(tmp_path_factory.mktemp("lane"), "--allow-unisolated")
    yield local
    local.close()


@pytest.fixture
def tenant(lane: Lane) -> Iterator[Tenant]:
    """A cloud of the test's own, removed with all that is in it."""
    tenant = Tenant(lane)
    lane.cluster.ensure_cloud(tenant.cloud())
    yield tenant
    lane.cluster.delete_cloud(tenant.cloud_id)
