"""A gate of real processes over some database: HAProxy, its agent and the live process, each stopped and started by name."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

from provider import programs
from provider.gate import appsession
from provider.gate.entry import read
from provider.gate.proxy import Proxy, ProxyUnavailable
from provider.up import authority
from tests.free_ports import free_port
from tests.gate.wire import Door, read_reply

CONSOLE = "freehold.localhost"
ROOT = Path(__file__).resolve().parent.parent.parent


def wait_until(true: Callable[[], Any], what: str, limit_s: float = 20.0) -> Any:
    deadline = time.monotonic() + limit_s
    while not (found := true()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {limit_s} s")
        time.sleep(0.02)
    return found


@dataclass
class Gate:
    """One running gate. Every process can be stopped and started again by name."""

    home: Path
    run: Path
    env: dict[str, str]
    http: Door
    https: Door
    live_port: int
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def proxy(self) -> Proxy:
        return Proxy(self.run / "gate.sock", self.home / "gate")

    def start(self, name: str) -> None:
        argv = {
            "agent": (sys.executable, "-m", "provider.gate.agent"),
            "proxy": (sys.executable, "-m", "provider.gate.serve"),
            "live": programs.live("127.0.0.1", self.live_port),
        }[name]
        log = (self.home / f"{name}.log").open("ab")
        command = ("setpriv", "--pdeathsig", "TERM", "--", *argv)
        self.processes[name] = subprocess.Popen(
            command, env=self.env, stdout=log, stderr=log, cwd=ROOT, start_new_session=True
        )

    def stop(self, name: str, how: signal.Signals = signal.SIGTERM) -> None:
        process = self.processes.pop(name)
        process.send_signal(how)
        process.wait(15)

    def make_whole(self) -> None:
        """Again, whatever the test before stopped."""
        for name in ("live", "proxy", "agent"):
            if name not in self.processes:
                self.start(name)
        wait_until(lambda: self.is_ready() and self.is_live() and self.beats(), "ready again")

    def resident_kb(self) -> int:
        """Memory of the proxy."""
        status = Path(f"/proc/{self.processes['proxy'].pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))

    def is_ready(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as inner:
                inner.settimeout(2)
                inner.connect(str(self.run / "gate-inner.sock"))
                inner.sendall(b"GET /ready HTTP/1.1\r\nHost: x\r\n\r\n")
                return read_reply(inner).status == 200
        except OSError:
            return False

    def is_live(self) -> bool:
        try:
            return Door(self.live_port).ask("x", "/gate/decide").status == 404
        except OSError:
            return False

    def entry(self, name: str, key: str) -> str | None:
        try:
            return next((entry.value for entry in self.proxy.entries(name) if entry.key == key), None)
        except ProxyUnavailable:
            return None

    def upstream(self, instance_id: str, mount: str = "") -> str | None:
        """Where the proxy believes a micro of it to be."""
        if mount:
            return self.entry("upstreams", f"{instance_id}/{mount}")
        try:
            homes = (read(entry.value) for entry in self.proxy.entries("hosts"))
            return next((home.upstream for home in homes if home.instance == instance_id), None) or None
        except ProxyUnavailable:
            return None

    def beats(self) -> bool:
        return time.time() - float(self.entry("state", "beat") or 0) < 3


def _environment(home: Path, run: Path, ports: dict[str, int]) -> dict[str, str]:
    database = os.environ["DATABASE_URL"].rpartition("/")[0] + "/" + str(connection.settings_dict["NAME"])
    return os.environ | {
        "FREEHOLD_HOME": str(home),
        "FREEHOLD_RUN": str(run),
        "DATABASE_URL": database,
        "REDIS_URL": settings.REDIS_URL,
        "FREEHOLD_CONSOLE_URL": f"http://{CONSOLE}:{ports['http']}",
        "FREEHOLD_PORT": str(ports["http"]),
        "FREEHOLD_TLS_PORT": str(ports["https"]),
        "FREEHOLD_WEB_ADDR": f"127.0.0.1:{ports['live']}",
        "FREEHOLD_LIVE_ADDR": f"127.0.0.1:{ports['live']}",
        "FREEHOLD_STATIC_ADDR": f"127.0.0.1:{ports['static']}",
        "FREEHOLD_GATE_SECRET": settings.GATE_SECRET,
        "FREEHOLD_DATA_KEY": settings.DATA_KEY,
        "FREEHOLD_SESSION_KEYS": ",".join(settings.SESSION_KEYS),
    }


@contextmanager
def running(static_address: str, **more: str) -> Iterator[Gate]:
    """Ready. static_address: what stands in the place of the static server. more: settings of its processes."""
    with tempfile.TemporaryDirectory(prefix="fhgate") as folder:
        home, run = Path(folder) / "home", Path(folder) / "run"
        home.mkdir(), run.mkdir()
        authority.ensure(home, (CONSOLE, "*.apps.localhost"))
        ports = {name: free_port() for name in ("http", "https", "live")}
        ports["static"] = int(static_address.rpartition(":")[2])
        env = _environment(home, run, ports) | more
        gate = Gate(home, run, env, Door(ports["http"]), Door(ports["https"], tls=True), ports["live"])
        for name in ("live", "proxy", "agent"):
            gate.start(name)
        try:
            wait_until(lambda: gate.is_ready() and gate.is_live(), "the gate is ready")
            yield gate
        finally:
            for name in list(gate.processes):
                gate.stop(name)
            print(_logs(home))  # pytest shows it where something failed


def _logs(home: Path) -> str:
    return "\n".join(file.read_text() for file in home.glob("*.log"))


def keys() -> dict[str, str]:
    return appsession.parse_keys(settings.SESSION_KEYS)
