"""A data server as a process of its own, and one who asks it."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tenants.data_server import keys
from tests.free_ports import free_port

MASTER, GATE, ADMIN = b"m" * 32, b"g" * 32, "administration-token"
START_S = 20
PROJECT = "abc123def456"
INSTANCE = "ins-1"


class Server:
    """scheme: https where it was given a certificate."""

    def __init__(self, folder: Path, certificate: Sequence[Path] = ()) -> None:
        self.folder = folder
        self.port = free_port()
        self.socket = folder.parent / f"{folder.name}.sock"
        self.certificate = certificate
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        self.log = folder.parent / f"{folder.name}.log"

    def start(self) -> "Server":
        secrets = {"FREEHOLD_DATA_MASTER": MASTER.hex(), "FREEHOLD_DATA_GATE": GATE.hex(), "FREEHOLD_DATA_ADMIN": ADMIN}
        where = ("--folder", self.folder, "--data", f"127.0.0.1:{self.port}", "--admin", f"unix:{self.socket}")
        tls = (
            ("--certificate", self.certificate[0], "--certificate-key", self.certificate[1]) if self.certificate else ()
        )
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tenants.data_server", *map(str, (*where, *tls))],
                env=os.environ | secrets, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self._wait()
        return self

    def _wait(self) -> None:
        deadline = time.monotonic() + START_S
        while True:
            assert self.process is not None and self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            with contextlib.suppress(httpx.TransportError), self.admin() as admin:
                if admin.get("/healthz").status_code == 200:
                    return
            time.sleep(0.02)

    def kill(self) -> None:
        """As a crash does."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> int:
        if self.process is None:
            return 0
        process, self.process = self.process, None
        process.send_signal(number)
        return process.wait(30)

    def admin(self) -> httpx.Client:
        transport = httpx.HTTPTransport(uds=str(self.socket))
        headers = {"Authorization": f"Bearer {ADMIN}"}
        return httpx.Client(transport=transport, base_url="http://admin", headers=headers, timeout=60, verify=False)

    def memory_kib(self) -> int:
        """Proportional set size."""
        assert self.process is not None
        text = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))


@dataclass
class Data:
    """One collection of a running server, asked with a key of its own."""

    server: Server
    project_id: str
    key: str
    web: httpx.Client

    def base(self, method: str, path: str, body: Any = None, name: str = "things", **options: Any) -> httpx.Response:
        extra = {"json": body} if body is not None else {}
        return self.web.request(method, f"/v1/{self.project_id}/{name}/{path}", **extra, **options)

    def put(self, *items: Any, name: str = "things") -> httpx.Response:
        return self.base("PUT", "items", {"items": list(items)}, name)

    def query(self, query: Any = None, name: str = "things", **more: Any) -> httpx.Response:
        return self.base("POST", "query", {"query": query, **more}, name)

    def drive(self, method: str, path: str, name: str = "docs", **options: Any) -> httpx.Response:
        return self.web.request(method, f"/v1/{self.project_id}/{name}/{path}", **options)

    def upload(self, name: str, content: bytes, drive: str = "docs", kind: str | None = None) -> httpx.Response:
        headers = {"Content-Type": kind} if kind else {}
        return self.drive("POST", "files", drive, params={"name": name}, content=content, headers=headers)

    def names(self, drive: str = "docs", **parameters: Any) -> Any:
        return self.drive("GET", "files", drive, params=parameters).json()


def open_collection(server: Server, project_id: str = PROJECT, *, verify: Any = False) -> Data:
    """Made with one key and one instance."""
    key = keys.new_key(project_id)
    wanted = {
        "name": "Test",
        "keys": [{"id": "k1", "name": "first", "sha256": keys.fingerprint(key)}],
        "instances": [{"instance": INSTANCE, "version": 1}],
    }
    with server.admin() as admin:
        assert admin.put(f"/collections/{project_id}", json=wanted).status_code in (200, 201)
    web = httpx.Client(base_url=server.url, headers={"X-API-Key": key}, timeout=60, verify=verify)
    return Data(server, project_id, key, web)


@contextlib.contextmanager
def running(folder: Path, certificate: Sequence[Path] = ()) -> Iterator[Server]:
    server = Server(folder, certificate)
    try:
        yield server.start()
    finally:
        server.stop()
