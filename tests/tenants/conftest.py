from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection
from pytest_django.fixtures import Settings

from tenants.reconcile import cluster as cluster_module
from tests.worlds import MemoryCluster


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> MemoryCluster:
    double = MemoryCluster()
    monkeypatch.setattr(cluster_module, "current", lambda: double)
    return double


@pytest.fixture
def races(transactional_db: None) -> Iterator[None]:
    """Real transactions, for several threads. The tables are emptied afterwards, which events refuse by themselves."""
    yield
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE tenants_event DISABLE TRIGGER event_append_only")


@pytest.fixture(autouse=True)
def place(settings: Settings, tmp_path: Path) -> None:
    """A store of one's own and open doors."""
    settings.STORE_DIR = tmp_path / "store"
    settings.SIGNUP = "open"
    settings.ACCOUNT_EMAIL_VERIFICATION = "none"
