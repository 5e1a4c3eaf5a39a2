"""Processes of the machine by identity: a process id together with its start time, since ids are used again."""

import asyncio
import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Identity:
    """started: clock ticks since boot, as in /proc/PID/stat."""

    pid: int
    started: int

    @property
    def alive(self) -> bool:
        return started(self.pid) == self.started

    def signal(self, number: int) -> None:
        """Send a signal if it is still the same process."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def identify(pid: int) -> Identity | None:
    ticks = started(pid)
    return None if ticks is None else Identity(pid, ticks)


def started(pid: int) -> int | None:
    """Start time of a running process; None for one that is gone or only waits to be reaped."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name before it may hold anything
    return None if fields[0] in "ZX" else int(fields[19])


def second_of_namespace(init_pid: int) -> int | None:
    """The machine's id of process 2 in the namespace whose process 1 is `init_pid`: the app, or what started it."""
    with contextlib.suppress(OSError, ValueError):
        for word in Path(f"/proc/{init_pid}/task/{init_pid}/children").read_text().split():
            status = Path(f"/proc/{word}/status").read_text()
            inside = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[-1]
            if inside == "2":
                return int(word)
    return None


def ask_to_stop(init: Identity) -> None:
    """SIGTERM to the process group of the app in the sandbox whose process 1 is `init`."""
    app = second_of_namespace(init.pid) if init.alive else None
    with contextlib.suppress(ProcessLookupError):
        if app and os.getpgid(app) == app:
            os.killpg(app, signal.SIGTERM)
        elif app:  # it has not come as far as having a group of its own
            os.kill(app, signal.SIGTERM)


async def ended(process: Identity) -> None:
    """Wait until `process` is gone. Works for processes that some earlier agent started, too."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except OSError:
        return
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    try:
        if not process.alive:
            return
        loop.add_reader(descriptor, done.set)
        await done.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        reap(process.pid)


def reap(pid: int) -> None:
    """Collect an ended child; one that was not ours is collected by whoever adopted it."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
