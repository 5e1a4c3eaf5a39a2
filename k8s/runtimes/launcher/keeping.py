"""Keeps one process: passes its output on with the stream's name, signals to its group, reaps, and remembers how it ended.

Every line goes out as `o TEXT`, `e TEXT` (the app's output and errors) or `s TEXT` (ours): a cluster's logs know one stream.
"""

import contextlib
import os
import selectors
import signal
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

TERMINATION_LOG = Path("/dev/termination-log")
_TERMINATION_BYTES = 4000  # the kubelet reads 4096
_LINE_BYTES = 15_000  # the container runtime cuts lines at 16 KiB
_CHUNK = 65_536
_SLOWEST_LOOK_S = 0.25
_OOM_FILES = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")


class Outcome:
    """What was said last, and where the cluster reads why a container ended."""

    def __init__(self) -> None:
        self.recent: deque[bytes] = deque(maxlen=20)

    def line(self, stream: bytes, text: bytes) -> None:
        self.recent.append(text)
        with contextlib.suppress(OSError):
            os.write(1, stream + b" " + text + b"\n")

    def note(self, text: str) -> None:
        self.line(b"s", text.encode())

    def describe(self, code: int, memory_mib: str) -> str:
        if ran_out_of_memory():
            return f"ran out of memory (its limit is {memory_mib} MiB)"
        if code > 128 and code - 128 in signal.valid_signals():
            return f"was ended by signal {signal.Signals(code - 128).name}"
        return f"exited with code {code}"

    def end(self, reason: str, code: int) -> int:
        """Say why, for the log and for whoever asks about the container; returns `code`."""
        tail = b"\n".join(self.recent)
        self.note(reason)
        head = reason.encode() + b"\n"
        with contextlib.suppress(OSError):
            TERMINATION_LOG.write_bytes(head + tail[-(_TERMINATION_BYTES - len(head)) :])
        return code


def ran_out_of_memory() -> bool:
    """Whether the kernel killed anything of this container for its memory (both versions of cgroups)."""
    for file in _OOM_FILES:
        with contextlib.suppress(OSError):
            words = Path(file).read_text().split()
            if "oom_kill" in words:
                return words[words.index("oom_kill") + 1] != "0"
    return False


def keep(
    argv: Sequence[str],
    environment: Mapping[str, str],
    outcome: Outcome,
    *,
    on_wait: Callable[[], bool] | None = None,
    drain_s: float = 0.0,
    timeout_s: float | None = None,
) -> int:
    """Run `argv` to its end; returns its code (128 + n after signal n), 124 when `timeout_s` was over.

    on_wait: called several times a second until it returns True. drain_s: between being asked to end and passing it on,
    nothing while `on_wait` has not returned True.
    """
    return _Keeper(outcome, on_wait, drain_s, timeout_s).run(argv, environment)


class _Keeper:
    def __init__(
        self, outcome: Outcome, on_wait: Callable[[], bool] | None, drain_s: float, timeout_s: float | None
    ) -> None:
        self._outcome, self._on_wait, self._drain_s = outcome, on_wait, drain_s
        self._deadline = None if timeout_s is None else time.monotonic() + timeout_s
        self._selector = selectors.DefaultSelector()
        self._rest: dict[int, bytes] = {}
        self._term_at: float | None = None
        self._pause = 0.02
        self._child = 0
        self._code: int | None = None
        self._timed_out = False

    def run(self, argv: Sequence[str], environment: Mapping[str, str]) -> int:
        woken = self._listen_for_signals()
        self._start(argv, environment)
        while self._code is None:
            for key, _ in self._selector.select(self._wait_s()):
                if key.fd == woken:
                    os.read(woken, 4096)
                else:
                    self._read(key.fd, key.data)
            self._act()
            self._reap()
        self._drain_pipes()
        return 124 if self._timed_out else self._code

    def _listen_for_signals(self) -> int:
        woken, wake = os.pipe()
        for end in (woken, wake):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._asked_to_end)
        self._selector.register(woken, selectors.EVENT_READ)
        return woken

    def _start(self, argv: Sequence[str], environment: Mapping[str, str]) -> None:
        pipes = {b"o": os.pipe(), b"e": os.pipe()}
        self._child = os.fork()
        if self._child == 0:
            os.setsid()
            os.dup2(pipes[b"o"][1], 1)
            os.dup2(pipes[b"e"][1], 2)
            os.execve(argv[0], list(argv), dict(environment))  # noqa: S606 - argv says whether by a shell
        for stream, (reader, writer) in pipes.items():
            os.close(writer)
            os.set_blocking(reader, False)
            self._rest[reader] = b""
            self._selector.register(reader, selectors.EVENT_READ, stream)

    def _asked_to_end(self, *_: object) -> None:
        """What does not listen yet gets no requests that it could finish."""
        if self._term_at is None:
            self._term_at = time.monotonic() + (0.0 if self._on_wait else self._drain_s)

    def _wait_s(self) -> float | None:
        ends = [end - time.monotonic() for end in (self._term_at, self._deadline) if end is not None]
        if self._on_wait:
            ends.append(self._pause)
        return max(0.0, min(ends)) if ends else None

    def _act(self) -> None:
        now = time.monotonic()
        if self._on_wait:
            self._pause = min(self._pause * 1.15, _SLOWEST_LOOK_S)
            if self._on_wait():
                self._on_wait = None
        if self._term_at is not None and now >= self._term_at:
            self._term_at = now + 3600  # the cluster kills what ignores it
            self._signal(signal.SIGTERM)
        if self._deadline is not None and now >= self._deadline:
            self._deadline, self._timed_out = None, True
            self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child, number)

    def _reap(self) -> None:
        """Also what the app left behind: as process 1 we inherit it."""
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                if pid == self._child:
                    code = os.waitstatus_to_exitcode(status)
                    self._code = code if code >= 0 else 128 - code

    def _read(self, fd: int, stream: bytes) -> None:
        try:
            chunk = os.read(fd, _CHUNK)
        except BlockingIOError:
            return
        *lines, rest = (self._rest[fd] + chunk).split(b"\n")
        while len(rest) > _LINE_BYTES:
            lines.append(rest[:_LINE_BYTES])
            rest = rest[_LINE_BYTES:]
        if not chunk:
            self._selector.unregister(fd)
            lines, rest = ([rest] if rest else []), b""
        for line in lines:
            for start in range(0, len(line) or 1, _LINE_BYTES):
                self._outcome.line(stream, line[start : start + _LINE_BYTES])
        self._rest[fd] = rest

    def _drain_pipes(self) -> None:
        """What was written before the end; not what something it left running may still write."""
        open_pipes = [key for key in self._selector.get_map().values() if key.fd in self._rest]
        for key in open_pipes:
            self._read(key.fd, key.data)
            if self._rest[key.fd]:
                self._outcome.line(key.data, self._rest[key.fd])
