"""A cluster in memory whose data servers are real processes."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from pytest_django.fixtures import Settings

from k8s.specs import InstanceStatus
from tenants.reconcile import cluster as cluster_module
from tests.free_ports import free_port
from tests.journey.stack import until
from tests.worlds import MemoryCluster

PROGRAM = "sha256:" + "d" * 64


class Machine(MemoryCluster):
    """Runs each data server that is applied as a process; other instances are only pretended."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.servers: dict[str, tuple[subprocess.Popen[bytes], int]] = {}

    def observe(self, cloud_id: str, instance_id: str) -> InstanceStatus:
        status = super().observe(cloud_id, instance_id)
        spec = self.specs[instance_id]
        if spec.micros[0].name != "data" or not status.ready:
            return status
        port = self._start(instance_id, dict(spec.micros[0].env))
        return replace(status, micros=(replace(status.micros[0], upstream=f"127.0.0.1:{port}"),))

    def _start(self, name: str, env: dict[str, str]) -> int:
        if name not in self.servers:
            port, folder = free_port(), self.folder / name
            command = (sys.executable, "-m", "tenants.data_program", str(folder))
            process = subprocess.Popen(command, env=os.environ | env | {"PORT": str(port)})
            self.servers[name] = process, port
            until(lambda: _answers(port), 20, "the data server answers", pause_s=0.02)
        return self.servers[name][1]

    def kill(self, name: str) -> None:
        process, _ = self.servers.pop(name)
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).is_success
    except httpx.HTTPError:
        return False


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: Settings) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    monkeypatch.setattr(cluster_module, "current", lambda: machine)
    settings.DATA_PROGRAM = tmp_path / "data-program"
    settings.DATA_PROGRAM.write_text(json.dumps({"digest": PROGRAM}))
    yield machine
    for name in list(machine.servers):
        machine.kill(name)
