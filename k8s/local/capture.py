"""What a sandbox prints, from its two named pipes into a log file.

The pipes belong to nobody: when the agent dies the app goes on writing into them (a mebibyte each) and the next agent reads
on from there.
"""

import asyncio
import contextlib
import fcntl
import os
from collections import deque
from pathlib import Path

from k8s.local.logfiles import MAX_LINE_CHARS, LogWriter

_PIPE_BYTES = 1024 * 1024
_CHUNK_BYTES = 64 * 1024
_BYTES_PER_S = 2 * 1024 * 1024  # more than this and the app waits: one noisy app must not take the agent for itself


class Capture:
    """Reads `folder/out` and `folder/err` until closed. recent: the last lines, for a failure's report."""

    def __init__(self, folder: Path, writer: LogWriter) -> None:
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self._pipes = {stream: _open(folder / stream) for stream in ("out", "err")}
        self._partial = dict.fromkeys(self._pipes, b"")
        self.recent: deque[str] = deque(maxlen=20)
        for stream in self._pipes:
            self._listen(stream)

    def note(self, text: str) -> None:
        """A line of the platform's own."""
        self._writer.lines("sys", [text])

    def drain(self) -> None:
        """Take what is still in the pipes. Only when the sandbox has ended: it would keep up with a living writer."""
        for stream, pipe in self._pipes.items():
            with contextlib.suppress(OSError):
                while chunk := os.read(pipe, _CHUNK_BYTES):
                    self._take(stream, chunk)
            self._take(stream, b"\n" if self._partial[stream] else b"")

    def close(self) -> None:
        """Drain the pipes and let go of them."""
        self.drain()
        for pipe in self._pipes.values():
            self._loop.remove_reader(pipe)
            os.close(pipe)
        self._pipes.clear()
        self._writer.close()

    def _listen(self, stream: str) -> None:
        if stream in self._pipes:
            self._loop.add_reader(self._pipes[stream], self._readable, stream)

    def _readable(self, stream: str) -> None:
        try:
            chunk = os.read(self._pipes[stream], _CHUNK_BYTES)
        except BlockingIOError:
            return
        if chunk:
            self._take(stream, chunk)
        self._loop.remove_reader(self._pipes[stream])
        if chunk:
            self._loop.call_later(len(chunk) / _BYTES_PER_S, self._listen, stream)

    def _take(self, stream: str, chunk: bytes) -> None:
        *complete, rest = (self._partial[stream] + chunk).split(b"\n")
        while len(rest) > MAX_LINE_CHARS:
            complete.append(rest[:MAX_LINE_CHARS])
            rest = rest[MAX_LINE_CHARS:]
        self._partial[stream] = rest
        texts = [line[:MAX_LINE_CHARS].decode(errors="replace").rstrip("\r") for line in complete]
        if texts:
            self._writer.lines(stream, texts)
            self.recent.extend(texts)


def _open(pipe: Path) -> int:
    descriptor = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with contextlib.suppress(OSError):
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return descriptor
