"""A server for all tests of a file, and a fresh collection for each."""

import logging
from collections.abc import Iterator

import pytest

from tenants.data_server import keys
from tests.data_server.running import Data, Server, open_collection, running

logging.getLogger("httpx").setLevel(logging.WARNING)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("data") / "server") as found:
        yield found


@pytest.fixture
def data(server: Server) -> Iterator[Data]:
    found = open_collection(server, keys.new_project_id())
    yield found
    found.web.close()
    with server.admin() as admin:
        assert admin.delete(f"/collections/{found.project_id}").status_code == 200
