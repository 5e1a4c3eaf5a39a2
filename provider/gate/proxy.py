"""The running proxy's maps, through its control socket. Imports no Django.

Kept maps are compared with what they should be, not remembered: a proxy that was restarted has empty ones.
"""

import re
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

# A command and its payload must fit into one buffer of the proxy (16 KiB).
CHUNK_BYTES = 12_000
TIMEOUT_S = 5.0
# As haproxy.cfg.template says of the table per_instance.
EXPIRE_MS = 24 * 3600 * 1000
# `0x…: key=… use=0 exp=86399000 conn_cur=0 http_req_cnt=1 …`
_ENTRY = re.compile(r"^0x\w+: key=(\S+) .*?\bexp=(\d+) .*?\bconn_cur=(\d+)", re.MULTILINE)

_METERED = re.compile(
    r"^0x\w+: key=(\S+) .*?\bhttp_req_cnt=(\d+) .*?\bbytes_in_cnt=(\d+) bytes_out_cnt=(\d+)", re.MULTILINE
)


class ProxyUnavailable(Exception):
    """The proxy is not there, or refused a command."""


@dataclass(frozen=True)
class Entry:
    """ref: the proxy's own name of the entry ("0x…"). The same key may be there more than once; the oldest wins."""

    ref: str
    key: str
    value: str


@dataclass(frozen=True)
class Counted:
    """Of a stick table. open: requests and streams that count under it now; used_at: the last touch, epoch seconds."""

    key: str
    open: int
    used_at: float


@dataclass(frozen=True)
class Proxy:
    """control: the stats socket. folder: where the map files lie; their paths are the maps' names."""

    control: Path
    folder: Path

    def entries(self, name: str) -> list[Entry]:
        lines = self._command(f"show map {self._map(name)}").splitlines()
        if lines and lines[0].startswith("Unknown map"):
            raise ProxyUnavailable(f"no rule looks into {name}.map")
        return [Entry(*_three(line)) for line in lines if line]

    def converge(self, name: str, wanted: Mapping[str, str]) -> int:
        """Make the map say `wanted`, no more and nothing twice; returns how many entries were wrong. Repeating is safe."""
        right: set[str] = set()
        wrong: list[Entry] = []
        for entry in self.entries(name):
            if wanted.get(entry.key) == entry.value and entry.key not in right:
                right.add(entry.key)
            else:
                wrong.append(entry)
        for entry in wrong:
            self._change(f"del map {self._map(name)} #{entry.ref}")
        missing = {key: value for key, value in wanted.items() if key not in right}
        for chunk in _chunks(missing):
            self._change(f"add map {self._map(name)} <<\n{chunk}")
        return len(wrong) + len(missing)

    def put(self, name: str, key: str, value: str) -> None:
        """One value for the key. Deleted first: beside an older entry a new one would not count."""
        self._command(f"del map {self._map(name)} {key}; add map {self._map(name)} <<\n{key} {value}\n")

    def change(self, name: str, key: str, value: str) -> None:
        """Another value for a key that is there, at no moment without one."""
        if "not found" in self._command(f"set map {self._map(name)} {key} {value}"):
            self.put(name, key, value)

    def drop(self, name: str, key: str) -> None:
        """The key is gone afterwards, however often it was there."""
        self._command(f"del map {self._map(name)} {key}")

    def ask(self, command: str) -> str:
        """What the proxy says to any other command."""
        return self._command(command)

    def overwrite(self, key: str, value: str) -> None:
        """A key of the state map, which stays there all the time (`set` has no gap, and is quick in a small map)."""
        if "not found" in self._command(f"set map {self._map('state')} {key} {value}"):
            self._change(f"add map {self._map('state')} {key} {value}")

    def counted(self, table: str, key: str = "") -> list[Counted]:
        """Of one key, or of all."""
        answer, now = self._command(f"show table {table}" + (f" key {key}" if key else "")), time.time()
        if key and not answer.strip():
            return []  # never asked for, or not for a day
        if not answer.startswith("# table"):
            raise ProxyUnavailable(" ".join(answer.split())[:200] or "no answer about a table")
        return _counted(answer, now)

    def counted_lately(self, table: str) -> list[Counted]:
        """Of those used within the last minute, perhaps two, or open now. What the others say costs nothing."""
        now = time.time()
        return list({one.key: one for answer in self._lately(table) for one in _counted(answer, now)}.values())

    def metered(self, table: str, *, lately: bool = False) -> list[tuple[str, int, int, int]]:
        """Of each key: requests, bytes in and bytes out since the proxy began, or since a day without any.

        lately: as `counted_lately`.
        """
        answer = "\n".join(self._lately(table)) if lately else self._command(f"show table {table}")
        return [(found[1], int(found[2]), int(found[3]), int(found[4])) for found in _METERED.finditer(answer)]

    def _lately(self, table: str) -> tuple[str, str]:
        used = self._command(f"show table {table} data.conn_rate gt 0")
        opened = self._command(f"show table {table} data.conn_cur gt 0")
        if not (used.startswith("# table") and opened.startswith("# table")):
            raise ProxyUnavailable(" ".join(used.split())[:200] or "no answer about a table")
        return used, opened

    def _map(self, name: str) -> Path:
        return self.folder / f"{name}.map"

    def _change(self, command: str) -> None:
        """Changes answer nothing when they succeed."""
        if answer := self._command(command).strip():
            raise ProxyUnavailable(answer.splitlines()[0])

    def _command(self, text: str) -> str:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(TIMEOUT_S)
                connection.connect(str(self.control))
                connection.sendall(f"{text}\n".encode())
                return b"".join(_received(connection)).decode()
        except OSError as error:
            raise ProxyUnavailable(f"{self.control}: {error}") from error


def _counted(answer: str, now: float) -> list[Counted]:
    """An entry expires so long after its last touch."""
    return [
        Counted(found[1], int(found[3]), now - (EXPIRE_MS - int(found[2])) / 1000) for found in _ENTRY.finditer(answer)
    ]


def _received(connection: socket.socket) -> Iterator[bytes]:
    while data := connection.recv(1 << 18):
        yield data


def _three(line: str) -> tuple[str, str, str]:
    ref, key, *value = line.split(" ", 2)
    return ref, key, value[0] if value else ""


def _chunks(entries: Mapping[str, str]) -> Iterable[str]:
    lines: list[str] = []
    size = 0
    for key, value in entries.items():
        line = f"{key} {value}\n"
        if lines and size + len(line.encode()) > CHUNK_BYTES:
            yield "".join(lines)
            lines, size = [], 0
        lines.append(line)
        size += len(line.encode())
    if lines:
        yield "".join(lines)
