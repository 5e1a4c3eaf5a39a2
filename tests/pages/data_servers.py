"""A cloud's data server as a process of its own, known to the rows, with a collection of a person in it."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from django.conf import settings

from tenants.data_secrets import ADMIN_PATH, cloud_secrets
from tenants.models import Collection, DataServer
from tests.free_ports import free_port
from tests.pages.conftest import Person

START_S = 20
_PROGRAM = (
    "import sys, pathlib; from tenants import data_program; sys.exit(data_program.main(pathlib.Path(sys.argv[1])))"
)


@contextmanager
def data_server(person: Person, folder: Path) -> Iterator[DataServer]:
    """The very program that clouds run, on this machine."""
    secrets, port = cloud_secrets(settings.DATA_KEY, person.cloud.pk), free_port()
    folder.mkdir()
    given = {
        "FREEHOLD_DATA_MASTER": secrets.master.hex(),
        "FREEHOLD_DATA_GATE": secrets.gate.hex(),
        "FREEHOLD_DATA_ADMIN": secrets.admin,
        "PORT": str(port),
    }
    with (folder.parent / f"{folder.name}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(folder)], env=os.environ | given, stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + START_S
        while True:
            assert process.poll() is None and time.monotonic() < deadline
            try:
                if httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.02)
        upstream = f"127.0.0.1:{port}"
        yield DataServer.objects.create(cloud=person.cloud, state="running", upstream=upstream, observed_generation=1)
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def inner(server: DataServer, collection: Collection) -> Iterator[httpx.Client]:
    """The collection as the data server has it, past our pages; made on the first use."""
    token = cloud_secrets(settings.DATA_KEY, server.cloud_id).admin
    address = f"http://{server.upstream}{ADMIN_PATH}/collections/{collection.project_id}"
    with httpx.Client(headers={"Authorization": f"Bearer {token}"}, timeout=60) as client:
        client.put(address, json={"name": collection.name}).raise_for_status()
        client.base_url = httpx.URL(f"{address}/")
        yield client
