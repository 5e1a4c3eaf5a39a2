"""Lines of all processes: to the terminal with a coloured name before them, and to a capped file each."""

import contextlib
import sys
from collections import deque
from pathlib import Path

FILE_LIMIT_BYTES = 5 * 1024 * 1024
TAIL_LINES = 20
COLOURS = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)
NAME_WIDTH = 10


def say(text: str) -> None:
    """To the person at the terminal, who may have gone (a closed pipe must not stop anything)."""
    with contextlib.suppress(OSError):
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def _prefix(name: str, number: int, coloured: bool) -> str:
    text = f"{name:<{NAME_WIDTH}} | "
    return f"\033[{COLOURS[number % len(COLOURS)]}m{text}\033[0m" if coloured else text


class Log:
    """The lines of one process. Written as they come; the file is renamed to `.1` when it is full."""

    def __init__(self, folder: Path, name: str, number: int) -> None:
        self.path = folder / f"{name}.log"
        self.prefix = _prefix(name, number, sys.stdout.isatty())
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._file = self.path.open("ab", buffering=0)

    def line(self, raw: bytes) -> None:
        text = raw.decode(errors="replace").rstrip()
        self.tail.append(text)
        say(self.prefix + text)
        with contextlib.suppress(OSError):  # a full disk must not take the supervisor down
            self._file.write(text.encode() + b"\n")
            if self._file.tell() > FILE_LIMIT_BYTES:
                self._rotate()

    def _rotate(self) -> None:
        self._file.close()
        self.path.replace(self.path.with_suffix(".log.1"))
        self._file = self.path.open("ab", buffering=0)
