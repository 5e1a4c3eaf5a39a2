"""What runtime tests share: the machine's Python with our servers beside it, a builder on real registries, requests."""

import json
import os
import signal
import socket
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from apps_catalog.store import Store
from k8s.runtimes.python.prepare import prepare
from tests.free_ports import free_port

ROOT = Path(__file__).resolve().parents[2]
UV = Path(sys.executable).parent / "uv"
BUILDER = ROOT / "k8s/runtimes/builder/build.py"
PYTHON = "/usr/bin/python3"
DEADLINE_S = 20.0


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass
class Server:
    """A process of ours that listens on `port` of 127.0.0.1."""

    process: subprocess.Popen[bytes]
    port: int

    def ask(self, path: str, method: str = "GET", data: bytes | None = None, **headers: str) -> Answer:
        """One request, redirects not followed. Header names with `_` for `-`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, named, method=method)
        opener = urllib.request.build_opener(_Stay)
        try:
            with opener.open(request, timeout=DEADLINE_S) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.headers, error.read())

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE_S)


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


Start = Callable[..., Server]


@pytest.fixture
def start() -> Iterator[Start]:
    """start(argv, cwd, env, port) → Server, once it accepts connections. All are stopped at the end."""
    running: list[subprocess.Popen[bytes]] = []

    def begin(argv: list[str], cwd: Path, env: Mapping[str, str] | None = None, port: int | None = None) -> Server:
        port = port or free_port()
        process = subprocess.Popen(argv, cwd=cwd, env={**os.environ, **(env or {}), "PORT": str(port)})
        running.append(process)
        _wait(process, port)
        return Server(process, port)

    yield begin
    for process in running:
        if process.poll() is None:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        assert process.poll() is None, f"ended with {process.returncode} before it listened"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError("did not listen in time")


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that Python sandboxes get beside the app."""
    folder = tmp_path_factory.mktemp("runtime") / "python"
    assert prepare(folder, UV)
    assert not prepare(folder, UV)
    return folder


@dataclass
class Built:
    """Outcome of a build. out: the artifact's root. micros: the manifest's entries by name."""

    status: int
    log: str
    out: Path
    micros: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def last(self) -> str:
        return self.log.strip().splitlines()[-1]

    def argv(self, micro: str) -> list[str]:
        return ["/bin/sh", "-c", f"exec {self.micros[micro]['command']}"]

    def cwd(self, micro: str) -> Path:
        return self.out / str(self.micros[micro]["root"])

    def env(self, micro: str, runtime: Path) -> dict[str, str]:
        """As the launcher sets it: dependencies before our servers, console scripts on the PATH."""
        folders = [str(self.out / folder) for folder in self.micros[micro]["python_path"]]
        path = ":".join([*(f"{folder}/bin" for folder in folders), "/usr/bin", "/bin"])
        return {"PYTHONPATH": ":".join([*folders, str(runtime)]), "PATH": path}


Build = Callable[..., Built]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def build(tmp_path: Path, cache: Path) -> Build:
    """build(files, micro, …, as_of=None): run build.py as a sandbox would. Micros as dicts; files by name."""

    def run(files: Mapping[str, str], *micros: dict[str, Any], as_of: str | None = None) -> Built:
        src, out, plan = tmp_path / "src", tmp_path / "out", tmp_path / "plan.json"
        out.mkdir(exist_ok=True)
        for name, content in files.items():
            (src / name).parent.mkdir(parents=True, exist_ok=True)
            (src / name).write_text(content)
        plan.write_text(json.dumps({"micros": micros, "as_of": as_of}))
        argv = [PYTHON, str(BUILDER), "--src", str(src), "--out", str(out), "--cache", str(cache), "--plan", str(plan)]
        both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        done = subprocess.run([*argv, "--uv", str(UV)], text=True, check=False, **both)
        built = Built(done.returncode, done.stdout, out)
        if done.returncode == 0:
            manifest = json.loads((out / "manifest.json").read_text())
            built.micros = {micro["name"]: micro for micro in manifest["micros"]}
        return built

    return run


def keep_as_artifact(folder: Path, store: Path, scratch: Path) -> str:
    """Pack `folder` as an artifact into the store; returns its digest."""
    with tarfile.open(scratch / "artifact.tar.gz", "w:gz") as archive:
        archive.add(folder, ".")
    with (scratch / "artifact.tar.gz").open("rb") as file:
        return Store(store).put(file)[0]
