"""The micros of a project as processes of this machine: what starts them, what they see, and their end."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from apps_catalog.spacefile import Micro, Spacefile
from apps_catalog.spacefile.engines import Family
from k8s.runtimes import python as python_runtime
from provider.cli.failures import Failure

FIRST_PORT, PORTS = 4200, 100
GRACE_S = 5.0
Say = Callable[[str], None]


@dataclass(frozen=True)
class Running:
    """A micro that is to be started, or a folder that is served as it is."""

    micro: Micro
    port: int
    command: str | None
    folder: Path


def command_of(micro: Micro) -> str | None:
    """The Spacefile's `dev`, else its `run`, else what the engine usually means; None for files, images and the unknown."""
    if micro.image is not None:
        return micro.dev  # its `run` is a line for inside of the image
    if micro.dev or (micro.run and micro.family in (Family.PYTHON, Family.NODE, Family.CUSTOM)):
        return micro.dev or micro.run
    if micro.family in (Family.FRONTEND, Family.FULLSTACK):
        script = "start" if micro.engine == "react" else "dev"
        # Without an argument for "npm run start": Create React App reads PORT by itself, and refuses arguments.
        return f'npm run {script} --if-present -- --port "$PORT"' if script == "dev" else _REACT
    if micro.family is Family.PYTHON:
        return "python3 -m freehold_server main:app"
    return "node index.js" if micro.family is Family.NODE else None


# A React app is one of Vite, which has a script `dev`, or of Create React App, which has `start`.
_REACT = 'if npm pkg get scripts.dev | grep -q "{}"; then npm run start; else npm run dev -- --port "$PORT"; fi'


def plan(spacefile: Spacefile, root: Path, first_port: int) -> list[Running]:
    """In the Spacefile's order, each with a port of its own after `first_port`."""
    found: list[Running] = []
    port = first_port
    for micro in spacefile.micros:
        port = free_port(port + 1)
        found.append(Running(micro, port, command_of(micro), root / micro.src))
    return found


def free_port(first: int) -> int:
    """The first free one from `first` on. Raises Failure where a hundred are taken."""
    for port in range(first, first + PORTS):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
    raise Failure(f"No port from {first} to {first + PORTS - 1} is free.", code="no_port", field="port")


def environment(micro: Micro, port: int, authority: str, api_key: str, data: Mapping[str, str]) -> dict[str, str]:
    """The shell's, which wins over the app's own values, and what the platform gives to a micro. data: of data_access."""
    presets = {preset.name: preset.default for preset in micro.presets.env if preset.default}
    ours = {
        "PORT": str(port),
        "UVICORN_PORT": str(port),
        "DETA_SPACE_APP": "true",
        "DETA_SPACE_APP_VERSION": "dev",
        "DETA_SPACE_APP_HOSTNAME": authority,
        "DETA_SPACE_APP_MICRO_NAME": micro.name,
        "DETA_SPACE_APP_MICRO_TYPE": "normal" if micro.mount else "primary",
        "DETA_API_KEY": api_key,
        "PYTHONUNBUFFERED": "1",
    }
    server = str(Path(python_runtime.__file__ or "").parent)
    path = os.pathsep.join(part for part in (os.environ.get("PYTHONPATH", ""), server) if part)
    return {**presets, **os.environ, **ours, **data, "PYTHONPATH": path}


async def run(running: Running, env: dict[str, str], say: Say) -> int:
    """Start it, hand on its lines, and return its exit status. Cancelled: it and what it started are ended."""
    process = await asyncio.create_subprocess_exec(
        *("/bin/sh", "-c", running.command or ""),
        cwd=running.folder,
        env=env,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        async for line in _lines(process.stdout):
            say(f"[{running.micro.name}] {line}")
        return await process.wait()
    finally:
        await _end(process)


async def _lines(stream: asyncio.StreamReader | None) -> AsyncIterator[str]:
    while stream is not None:
        try:
            raw = await stream.readline()
        except ValueError:  # longer than the buffer: shown in pieces
            raw = await stream.read(64 * 1024)
        if not raw:
            return
        yield raw.decode(errors="replace").rstrip("\n")


async def _end(process: asyncio.subprocess.Process) -> None:
    """The whole group: a shell, the package manager that it started, and the server that this one did."""
    _signal(process.pid, signal.SIGTERM)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), GRACE_S)
    _signal(process.pid, signal.SIGKILL)


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)
