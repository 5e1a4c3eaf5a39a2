"""A whole Freehold in a home of its own, started as people start it and stopped without a trace."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import httpx

from k8s.local.layout import network_plan
from k8s.local.spares import SPARES
from provider.cli.transport import LocalhostTransport
from provider.up.home import run_folder
from tests.free_ports import free_port
from tests.journey import traces

SOURCE = Path(__file__).resolve().parent.parent.parent
START_LIMIT_S = 240
STOP_LIMIT_S = 60
T = TypeVar("T")


def until(look: Callable[[], T | None], limit_s: float, what: str, pause_s: float = 0.1) -> T:
    """The first true answer of `look`. Raises AssertionError that names `what` after `limit_s` seconds."""
    deadline = time.monotonic() + limit_s
    while True:
        if found := look():
            return found
        assert time.monotonic() < deadline, f"after {limit_s} s still not: {what}"
        time.sleep(pause_s)


def client(**options: object) -> httpx.Client:
    """An HTTP client that finds *.localhost here, as a browser would."""
    options.setdefault("timeout", 60)
    return httpx.Client(transport=LocalhostTransport(), **options)  # type: ignore[arg-type]


class Stack:
    """home: made if it is not there. source: the clone that is run. environment: what the person who starts it has set.
    The log of `up` is `home`.log beside the home."""

    def __init__(self, home: Path, source: Path = SOURCE, environment: Mapping[str, str] | None = None) -> None:
        self.home, self.source, self.environment = home, source, dict(environment or {})
        self.port, self.tls_port = free_port(), free_port()
        self.console = f"http://freehold.localhost:{self.port}"
        self.log = home.with_name(home.name + ".log")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when every component is well and the catalog is seeded."""
        self.launch([sys.executable, str(self.source / "manage.py"), "up", *self.options])
        self.wait_until_well()
        self.wait_for_catalog()

    @property
    def options(self) -> tuple[str, ...]:
        return ("--port", str(self.port), "--tls-port", str(self.tls_port), "--home", str(self.home))

    def launch(self, argv: Sequence[str]) -> None:
        """Returns at once."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                argv,
                cwd=self.source,
                env=_bare_environment() | self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_for_catalog(self) -> None:
        until(lambda: len(self._apps()) >= 3, START_LIMIT_S, "three apps in the catalog", pause_s=0.5)

    def wait_until_well(self, limit_s: float = START_LIMIT_S) -> None:
        def well() -> bool:
            assert self._process is not None
            assert self._process.poll() is None, f"`up` ended with {self._process.returncode}\n{self.log_tail()}"
            return self.health().get("status") == "ok"

        try:
            until(well, limit_s, "healthy")
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.health()}\n{self.log_tail()}") from None

    def health(self) -> dict[str, object]:
        try:
            with client(timeout=5) as http:
                answer = http.get(f"{self.console}/healthz").json()
                return answer if isinstance(answer, dict) else {}
        except (httpx.HTTPError, ValueError) as error:
            return {"status": str(error)}

    def kill(self) -> None:
        """-9 for the supervisor alone: what it started is left to itself."""
        assert self._process is not None
        os.kill(self.supervisor, signal.SIGKILL)
        self._process.wait(STOP_LIMIT_S)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Raises AssertionError if anything of it is still there afterwards. Not running is success."""
        if self._process is None:
            return
        os.kill(self.supervisor, number)
        try:
            self._process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise AssertionError(f"`up` did not stop within {STOP_LIMIT_S} s\n{self.log_tail()}") from None
        finally:
            self._process = None
        left = {pid: command(pid) for pid in self.processes()}
        assert not left, f"left behind: {left}"
        # The kernel lets go of a disk a moment after its last process ended.
        try:
            until(lambda: not traces.of(self.home), 10, "nothing left behind")
        except AssertionError as error:
            raise AssertionError(f"{error}: {traces.of(self.home)}") from None

    @property
    def supervisor(self) -> int:
        """`up` itself, also where make started it; it notes its number in the lock."""
        return int((self.home / "lock").read_text().split()[0])

    def processes(self) -> list[int]:
        """All that names this home in its environment or one of its folders in its command."""
        return [pid for pid in all_processes() if _belongs(pid, self.home)]

    def pid_of(self, *words: str) -> int:
        """The oldest process of this home whose command line has all `words`; waits for it."""

        def look() -> int | None:
            found = [pid for pid in self.processes() if all(word in command(pid).split() for word in words)]
            return min(found, key=_started, default=None)

        return until(look, 60, f"a process with {words}")

    @property
    def postmaster(self) -> int:
        """PostgreSQL's first process, by its own pid file."""
        return int((self.home / "pg" / "postmaster.pid").read_text().split()[0])

    def sandboxes(self, host: str) -> list[str]:
        """One name per running sandbox of the instance that answers at `host`: its pid namespace and, since numbers of
        namespaces are given again, the start of the first process there."""
        needle = f"DETA_SPACE_APP_HOSTNAME={host}".encode()
        found = {_pid_namespace(pid) for pid in all_processes() if needle in _bytes(pid, "environ")} - {""}
        return sorted(f"{name} {min(map(_started, _inside(name)), default=0)}" for name in found)

    def running_in_sandboxes(self, module: str) -> list[int]:
        """Processes of this home's sandboxes that run a Python module by its name."""
        own = f"freehold-{network_plan(self.home / 'node').key}".encode()
        found = [pid for pid in all_processes() if command(pid).endswith(f"-m {module}")]
        return [pid for pid in found if own in _bytes(pid, "cgroup")]

    def strays(self) -> list[str]:
        """Orphans that came to the supervisor (it is a subreaper), processes of an earlier one, sandboxes' folders and
        networks. Empty when no instance is there and no build runs; each cloud may keep its one data server, and the node
        agent a few networks that it made ahead."""
        recorded = json.loads((run_folder(self.home) / "processes.json").read_text())
        children = Path(f"/proc/{self.supervisor}/task/{self.supervisor}/children").read_text().split()
        orphans = {int(pid) for pid in children} - {pid for pid, *_ in recorded}
        orphans |= {pid for pid in self.processes() if self.supervisor not in _ancestry(pid)}
        kept = self._data_servers()
        orphans -= {pid for _, pid in kept.values()}  # those whose node agent was killed came to the supervisor too
        links = {link for link, _ in kept.values()}
        folders = [str(folder) for folder in (self.home / "node" / "run").iterdir() if folder.name not in kept]
        networks = [place for place in traces.networks(self.home) if Path(place).name not in links]
        if len({Path(place).name for place in networks}) <= SPARES and not folders:
            networks = []  # made ahead for whoever comes next
        return [*(f"{pid} {command(pid)}" for pid in orphans), *folders, *networks]

    def _data_servers(self) -> dict[str, tuple[str, int]]:
        """{folder of its sandbox: (name of its network, pid outside)} of one per cloud."""
        plan = network_plan(self.home / "node")
        found: dict[str, tuple[str, tuple[str, int]]] = {}
        for file in (self.home / "node" / "run").glob("dat*/record.json"):
            record = json.loads(_bytes_of(file) or b"{}")
            if record:
                found[record["cloud_id"]] = (record["name"], (plan.link(record["slot"]), record["outer"]["pid"]))
        return dict(found.values())

    def members(self, sandbox: str) -> list[int]:
        return _inside(sandbox.partition(" ")[0])

    def log_tail(self, lines: int = 60) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    def _apps(self) -> list[object]:
        with client() as http:
            answer = http.get(f"{self.console}/api/v1/apps/")
            return list(answer.json()["results"]) if answer.status_code == 200 else []


def new_home(name: str) -> Path:
    """A home that is thrown away, or with FREEHOLD_TEST_HOMES a folder of them that is kept and starts warm."""
    if kept := os.environ.get("FREEHOLD_TEST_HOMES"):
        folder = Path(kept).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        return folder / name
    return Path(tempfile.mkdtemp(prefix=f"freehold-{name}-")) / "home"


def discard(home: Path) -> None:
    if not os.environ.get("FREEHOLD_TEST_HOMES"):
        shutil.rmtree(home.parent, ignore_errors=True)


def all_processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def command(pid: int) -> str:
    return _bytes(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace").strip()


def _belongs(pid: int, home: Path) -> bool:
    if not (line := _bytes(pid, "cmdline")):
        return False
    # Redis writes its title over its environment.
    named = any(str(folder).encode() in line for folder in (home / "node", run_folder(home)))
    return named or f"FREEHOLD_HOME={home}\0".encode() in _bytes(pid, "environ")


def _pid_namespace(pid: int) -> str:
    try:
        return str(Path(f"/proc/{pid}/ns/pid").readlink())
    except OSError:
        return ""


def _inside(namespace: str) -> list[int]:
    return [pid for pid in all_processes() if _pid_namespace(pid) == namespace]


def _ancestry(pid: int) -> Iterator[int]:
    """The process, its parent, and so on up to the machine's first."""
    while pid:
        yield pid
        fields = _bytes(pid, "stat").rpartition(b") ")[2].split()
        pid = int(fields[1]) if fields else 0


def _started(pid: int) -> int:
    fields = _bytes(pid, "stat").rpartition(b") ")[2].split()
    return int(fields[19]) if len(fields) > 19 else sys.maxsize


def _bytes(pid: int, name: str) -> bytes:
    return _bytes_of(Path(f"/proc/{pid}/{name}"))


def _bytes_of(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""


def _bare_environment() -> dict[str, str]:
    ours = ("FREEHOLD_", "DATABASE_URL", "REDIS_URL", "CLUSTER_URL", "SECRET_KEY", "DJANGO_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}
