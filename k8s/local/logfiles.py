"""Log files of micros and builds: `TIME STREAM TEXT` per line, one file and one older one per source, capped in size."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from k8s.specs import LogLine

MAX_FILE_BYTES = 4 * 1024 * 1024
MAX_LINE_CHARS = 16_384
_POLL_S = 0.15


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class LogWriter:
    """Appends lines to `file`, moving it aside as `file.1` when it is full. One writer per file."""

    def __init__(self, file: Path, limit_bytes: int = MAX_FILE_BYTES) -> None:
        self.file = file
        self._limit = limit_bytes
        file.parent.mkdir(parents=True, exist_ok=True)
        self._out = file.open("ab", buffering=0)

    def lines(self, stream: str, texts: Iterable[str]) -> None:
        at = now()
        self._out.write("".join(f"{at} {stream} {text}\n" for text in texts).encode(errors="replace"))
        if self._out.tell() > self._limit:
            self._rotate()

    def close(self) -> None:
        self._out.close()

    def _rotate(self) -> None:
        self._out.close()
        self.file.replace(older(self.file))
        self._out = self.file.open("ab", buffering=0)


def older(file: Path) -> Path:
    return file.with_name(file.name + ".1")


def tail(file: Path, micro: str, count: int) -> list[LogLine]:
    """The last `count` lines, oldest first; none where nothing was written."""
    kept: deque[LogLine] = deque(maxlen=count)
    for part in (older(file), file):
        try:
            with part.open("rb") as source:
                kept.extend(_parse(line, micro) for line in source)
        except FileNotFoundError:
            continue
    return list(kept)


class Follower:
    """Reads what is added to one log file, across its rotation."""

    def __init__(self, file: Path, micro: str) -> None:
        self._file, self._micro = file, micro
        self._source = file.open("rb") if file.exists() else None
        self._rest = b""

    def seed(self, count: int) -> list[LogLine]:
        """The last `count` lines; what comes after them is what `fresh` returns."""
        history = tail(older(self._file), self._micro, count)
        return [*history, *self.fresh()][-count:] if count else self._skip()

    def _skip(self) -> list[LogLine]:
        self.fresh()
        return []

    def fresh(self) -> list[LogLine]:
        lines = self._drain()
        if self._moved():
            lines += self._drain()
            if self._source:
                self._source.close()
            self._source = self._file.open("rb")
            lines += self._drain()
        return lines

    def close(self) -> None:
        if self._source:
            self._source.close()

    def _moved(self) -> bool:
        try:
            named = self._file.stat().st_ino
        except FileNotFoundError:
            return False
        return self._source is None or os.fstat(self._source.fileno()).st_ino != named

    def _drain(self) -> list[LogLine]:
        if self._source is None:
            return []
        *complete, self._rest = (self._rest + self._source.read()).split(b"\n")
        return [_parse(line, self._micro) for line in complete]


def follow(
    sources: dict[str, Path], count: int, ended: Callable[[], bool], stop: Callable[[], bool] | None = None
) -> Iterator[LogLine]:
    """The last `count` lines of all sources in order of time, then new ones as they come until `ended()` or `stop()`."""
    followers = [Follower(file, micro) for micro, file in sources.items()]
    try:
        yield from merged((f.seed(count) for f in followers), count)
        while True:
            over = ended()  # asked before reading: lines written until then are still delivered
            yield from merged((f.fresh() for f in followers), None)
            if over or (stop is not None and stop()):
                return
            time.sleep(_POLL_S)
    finally:
        for follower in followers:
            follower.close()


def merged(groups: Iterable[list[LogLine]], count: int | None) -> list[LogLine]:
    lines = sorted((line for group in groups for line in group), key=lambda line: line.at)
    return lines if count is None else lines[-count:] if count else []


def _parse(raw: bytes, micro: str) -> LogLine:
    at, _, rest = raw.rstrip(b"\n").decode(errors="replace").partition(" ")
    stream, _, text = rest.partition(" ")
    return LogLine(at=at, micro=micro, stream=stream, text=text)
