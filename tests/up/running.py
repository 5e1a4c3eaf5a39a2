"""A `manage.py up` of its own for a test: own home, own ports, ended whatever happens."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from provider.up.child import SOURCE
from provider.up.home import Home, run_folder
from tests.free_ports import free_port

Answer = TypeVar("Answer")


def until(ask: Callable[[], Answer], what: str, seconds: float = 60.0) -> Answer:
    """The first truthy answer; AssertionError after the deadline."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := ask():
            return answer
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")


def of_home(path: Path) -> list[int]:
    """All that an `up` starts: it carries the home in its environment. Redis, which writes its title over that, names
    its socket."""
    found = []
    ours, socket_folder = f"FREEHOLD_HOME={path}\0".encode(), f"{run_folder(path)}/".encode()
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if not process.name.isdigit():
                continue
            if ours in (process / "environ").read_bytes() or socket_folder in (process / "cmdline").read_bytes():
                found.append(int(process.name))
    return found


class Up:
    """`program` is what runs instead of `manage.py up`, with the same arguments."""

    def __init__(self, path: Path, program: tuple[str, ...] = ("manage.py", "up")) -> None:
        self.home = Home(path, run_folder(path))
        self.port, self.tls_port = free_port(), free_port()
        self.program = program
        self.output = path.parent / f"{path.name}.out"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Up":
        self.process = subprocess.Popen(
            (sys.executable, *self.program, *self.arguments),
            cwd=SOURCE,
            stdin=subprocess.DEVNULL,
            stdout=self.output.open("wb"),
            stderr=subprocess.STDOUT,
        )
        return self

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("--port", str(self.port), "--tls-port", str(self.tls_port), "--home", str(self.home.path))

    def run(self, *more: str) -> subprocess.CompletedProcess[str]:
        """To its end; for starts that are refused."""
        command = (sys.executable, *self.program, *self.arguments, *more)
        return subprocess.run(command, cwd=SOURCE, capture_output=True, text=True, timeout=60, check=False)

    def components(self) -> dict[str, dict[str, str]]:
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                connection.connect(str(self.home.status_socket))
            except OSError:
                return {}
            with connection.makefile() as answer:
                found: dict[str, dict[str, str]] = json.loads(answer.read() or "{}")
        return found

    def state(self, name: str) -> str:
        return self.components().get(name, {}).get("state", "")

    def wait_for(self, *names: str, state: str = "ok") -> None:
        for name in names:
            until(lambda name=name: self.state(name) == state, f"{name} {state}\n{self.output.read_text()}")  # type: ignore[misc]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.process
        self.process.send_signal(number)
        return self.process.wait(60)

    def clear(self) -> None:
        if self.process and self.process.poll() is None:
            self.stop()
        for pid in of_home(self.home.path):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.home.run, ignore_errors=True)


@contextlib.contextmanager
def up(path: Path, program: tuple[str, ...] = ("manage.py", "up")) -> Iterator[Up]:
    """Not started yet."""
    path.mkdir(parents=True, exist_ok=True)
    one = Up(path.resolve(), program)
    try:
        yield one
    finally:
        one.clear()
