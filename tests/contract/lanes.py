"""What the contract suite needs of a driver beside the port itself. One lane per driver; the tests know no other thing."""

import gzip
import hashlib
import http.client
import io
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from k8s.cluster import Cluster
from k8s.errors import Temporary
from k8s.local.driver import from_url

ROOT = Path(__file__).resolve().parents[2]


class Lane(Protocol):
    cluster: Cluster

    def artifact(self, files: Mapping[str, str]) -> str:
        """Put a built artifact into the lane's store; returns its digest."""

    def source(self, files: Mapping[str, str]) -> str:
        """Put a zip of sources into the lane's store; returns its digest."""

    def get(self, upstream: str, path: str = "/") -> str:
        """Body of a GET to an upstream as the gate would make it. Raises OSError."""

    def image(self) -> str | None:
        """An image by digest that is at hand and has a Python, or None where the driver runs no images."""

    def crash(self) -> None:
        """Kill −9 what turns specs into processes, and start it again."""


class LocalLane:
    """A node agent of its own, on a network derived from its home below the test's folder."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.home, self.store, self.socket = folder / "node", folder / "store", folder / "node.sock"
        self.options = options
        self.cluster: Cluster = from_url(f"local://{self.home}?socket={self.socket}&store={self.store}")
        self.log = (folder / "agent.log").open("ab")
        self.agent = self.start()

    def start(self) -> "subprocess.Popen[bytes]":
        agent = subprocess.Popen(self._command(), cwd=ROOT, stderr=self.log)
        until(lambda: self._answers(), 20)
        return agent

    def artifact(self, files: Mapping[str, str]) -> str:
        return put(self.store, packed(files))

    def source(self, files: Mapping[str, str]) -> str:
        return put(self.store, zipped(files))

    def get(self, upstream: str, path: str = "/") -> str:
        return fetched(upstream, path)

    def image(self) -> str | None:
        return None

    def crash(self) -> None:
        self.kill()
        self.agent = self.start()

    def kill(self) -> None:
        self.agent.kill()
        self.agent.wait()

    def close(self) -> None:
        """Stop everything and leave nothing on the machine."""
        self.agent.terminate()
        self.agent.wait(10)
        subprocess.run([*self._command(), "--stop-all"], cwd=ROOT, check=True, stderr=self.log)
        self.log.close()

    def _command(self) -> list[str]:
        paths = ["--home", self.home, "--socket", self.socket, "--store", self.store]
        uv = ["--uv", Path(sys.executable).parent / "uv"] if (Path(sys.executable).parent / "uv").exists() else []
        return [sys.executable, "-m", "k8s.local.agent", *map(str, [*paths, *uv]), *self.options]

    def _answers(self) -> bool:
        try:
            next(self.cluster.watch(0.2), None)
        except Temporary:
            return False
        return True


def packed(files: Mapping[str, str]) -> bytes:
    """An artifact's tar.gz."""
    out = io.BytesIO()
    with gzip.GzipFile("", "wb", 6, out, 0) as compressed, tarfile.open(fileobj=compressed, mode="w") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text.encode()), 0o644
            archive.addfile(entry, io.BytesIO(text.encode()))
    return out.getvalue()


def zipped(files: Mapping[str, str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return out.getvalue()


def put(store: Path, content: bytes) -> str:
    """Keep `content` in an artifact store; returns its digest."""
    name = hashlib.sha256(content).hexdigest()
    file = store / "sha256" / name[:2] / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return f"sha256:{name}"


def fetched(upstream: str, path: str) -> str:
    link = http.client.HTTPConnection(upstream, timeout=10)
    try:
        link.request("GET", path)
        return link.getresponse().read().decode()
    finally:
        link.close()


def until(condition: Callable[[], bool], timeout_s: float = 120.0) -> None:
    """Wait for `condition`; fails with its source line otherwise. The limit tells never from late; the bench tells speed."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not so within {timeout_s} s"
        time.sleep(0.02)
