"""Starting, finding, signalling and reaping processes on Linux."""

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
SOURCE = Path(__file__).resolve().parent.parent.parent
READ_LIMIT_BYTES = 256 * 1024


@dataclass(frozen=True)
class Identity:
    """A process for certain: its number may be given to another later, its start (clock ticks since boot) not."""

    pid: int
    start: int


@dataclass
class Child:
    """started_at: epoch seconds. code: as in subprocess (negative: a signal), set before `exited`."""

    identity: Identity
    started_at: float
    exited: asyncio.Event = field(default_factory=asyncio.Event)
    code: int | None = None
    output: asyncio.Task[None] | None = field(default=None, repr=False)


def stat_fields(pid: int) -> list[str]:
    """/proc/PID/stat from the third field (state) on; empty when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return []


def identify(pid: int) -> Identity | None:
    """None when the process is gone or only waits to be reaped."""
    fields = stat_fields(pid)
    return Identity(pid, int(fields[19])) if fields and fields[0] != "Z" else None


def session_members(session: int) -> list[Identity]:
    found = []
    for pid in (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()):
        fields = stat_fields(pid)
        if fields and int(fields[3]) == session and fields[0] != "Z":
            found.append(Identity(pid, int(fields[19])))
    return found


def own_children() -> list[Identity]:
    text = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    return [known for pid in text.split() if (known := identify(int(pid)))]


def send(target: Identity, number: signal.Signals) -> None:
    """Signal the process, if it still is that process."""
    if identify(target.pid) == target:
        with contextlib.suppress(ProcessLookupError):
            os.kill(target.pid, number)


def become_subreaper() -> None:
    """Orphans of our children come to us instead of to init: none can hide from the stop."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class Nursery:
    """Starts children and learns of their deaths. One per program: it reaps everything, as a subreaper must."""

    def __init__(self) -> None:
        self._children: dict[int, Child] = {}
        become_subreaper()
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._reap)

    async def start(self, argv: tuple[str, ...], env: Mapping[str, str], on_line: Callable[[bytes], None]) -> Child:
        """Raises OSError when the program cannot be started.

        The child leads a session of its own (a Ctrl-C in the terminal reaches only us, and its descendants can be found)
        and is told to end when we die; setpriv does that after the fork, where Python code would not be safe.
        """
        read_end, write_end = os.pipe()
        try:
            # Not kept: Popen would reap on its own. Its object only warns that the child still runs.
            process = subprocess.Popen(  # noqa: SIM115
                ("setpriv", "--pdeathsig", "TERM", "--", *argv),
                env=dict(env),
                cwd=SOURCE,
                stdin=subprocess.DEVNULL,
                stdout=write_end,
                stderr=write_end,
                start_new_session=True,
            )
        except OSError:
            os.close(read_end)
            raise
        finally:
            os.close(write_end)
        process.returncode = 0  # reaped by _reap, so nothing is left to wait for
        identity = Identity(process.pid, int(stat_fields(process.pid)[19]))
        child = Child(identity, time.time())
        self._children[process.pid] = child
        child.output = asyncio.create_task(_copy_lines(read_end, on_line))
        return child

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            child = self._children.pop(pid, None)
            if child:
                child.code = os.waitstatus_to_exitcode(status)
                child.exited.set()


async def _copy_lines(descriptor: int, on_line: Callable[[bytes], None]) -> None:
    reader = asyncio.StreamReader(limit=READ_LIMIT_BYTES)
    with os.fdopen(descriptor, "rb") as pipe:
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), pipe
        )
        try:
            while raw := await _line(reader):
                on_line(raw)
        finally:
            transport.close()


async def _line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readline()
    except ValueError:  # longer than the limit: shown as it is read
        return await reader.read(READ_LIMIT_BYTES)


async def end(targets: list[Identity], first: signal.Signals, patience_s: float) -> None:
    """Signal all, wait until they are gone, kill what is left. Works for processes that are not our children too."""
    for target in targets:
        send(target, first)
    deadline = time.monotonic() + patience_s
    while left := [target for target in targets if identify(target.pid) == target]:
        if time.monotonic() > deadline:
            for target in left:
                send(target, signal.SIGKILL)
            deadline += 5
        await asyncio.sleep(0.02)
