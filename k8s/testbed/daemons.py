"""Long-running programs that outlive the command that started them, known by process id and start time."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

START_TIMEOUT_S = 90.0
_STOP_TIMEOUT_S = 15.0


class Daemons:
    """Records are in `state/pid`, output in `state/log`, one file per name. The working directory is `state`."""

    def __init__(self, state: Path) -> None:
        self._state = state
        for folder in ("pid", "log"):
            (state / folder).mkdir(parents=True, exist_ok=True)

    def start(self, name: str, argv: Sequence[str]) -> None:
        """Start `argv` in a session of its own, unless the one started before under this name still runs."""
        if self.running(name):
            return
        with (self._state / "log" / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                argv, cwd=self._state, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._record(name).write_text(f"{process.pid} {_started_at(process.pid)}")

    def running(self, name: str) -> bool:
        return self._pid(name) is not None

    def stop(self, name: str) -> None:
        """TERM, then KILL after 15 s; returns when it is gone. Not running is success."""
        pid = self._pid(name)
        deadline = time.monotonic() + _STOP_TIMEOUT_S
        if pid:
            os.kill(pid, signal.SIGTERM)
        while (pid := self._pid(name)) and time.monotonic() < deadline:
            time.sleep(0.05)
        if pid:
            os.kill(pid, signal.SIGKILL)
        self._record(name).unlink(missing_ok=True)

    def kill(self, name: str) -> None:
        """At once, without a word; returns when it is gone."""
        while pid := self._pid(name):
            os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)

    def wait_for(self, what: str, ready: Callable[[], bool]) -> None:
        """Poll `ready` every 0.2 s. Raises SystemExit with where to look when it stays false for 90 s."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while not ready():
            if time.monotonic() > deadline:
                raise SystemExit(
                    f"testbed: {what} did not become ready in {START_TIMEOUT_S:.0f} s: see {self._state}/log"
                )
            time.sleep(0.2)

    def _record(self, name: str) -> Path:
        return self._state / "pid" / name

    def _pid(self, name: str) -> int | None:
        """The process id if that very process still runs: ids are given out again, start times tell them apart."""
        try:
            pid, started = self._record(name).read_text().split()
        except (FileNotFoundError, ValueError):
            return None
        return int(pid) if _started_at(int(pid)) == started else None


def _started_at(pid: int) -> str | None:
    """Start time in clock ticks since boot; None for a process that is gone or only waits to be reaped."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else fields[19]
