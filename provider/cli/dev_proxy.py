"""One local address for all micros: the first path segment chooses, is removed, and the visitor is the signed-in owner.

Each connection carries one request. That keeps bodies, streams and WebSockets plain copies of bytes in both directions.
"""

import asyncio
import contextlib
import mimetypes
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

HEAD_LIMIT = 64 * 1024
COPY_BYTES = 64 * 1024
PATIENCE_S = 15.0  # for a micro that is still starting
_PAUSE_S = 0.1
_OURS = ("x-freehold-", "x-forwarded-", "x-user", "forwarded", "remote-user", "x-upstream", "x-space-app-key")
_HOP = ("connection", "keep-alive", "proxy-connection")


@dataclass(frozen=True)
class Place:
    """Where a micro is: a port that it listens on, or a folder of files. mount "" is the primary's."""

    name: str
    mount: str
    port: int | None = None
    folder: Path | None = None


@dataclass(frozen=True)
class Head:
    """The first line's three words and the other lines, without their ends."""

    first: tuple[str, str, str]
    lines: tuple[str, ...]

    def value(self, name: str) -> str:
        found = (line.partition(":")[2].strip() for line in self.lines if line.partition(":")[0].lower() == name)
        return next(found, "")


class Refusal(Exception):
    """What the browser is told: a status and a sentence."""

    def __init__(self, status: str, text: str) -> None:
        super().__init__(text)
        self.status = status


class Router:
    """identity: headers by which an app knows its owner; the same names are never taken from a request."""

    def __init__(self, places: Sequence[Place], identity: Mapping[str, str]) -> None:
        self._by_mount = {place.mount: place for place in places}
        self._identity = identity

    def route(self, target: str) -> tuple[Place, str]:
        """(place, what it sees of the request's target). Raises Refusal."""
        if not target.startswith("/"):
            raise Refusal("400 Bad Request", "Only paths are served here.")
        path, question, query = target.partition("?")
        segment, slash, rest = path[1:].partition("/")
        place = self._by_mount.get(segment) if segment else None
        if place is None:
            place, seen = self._by_mount.get(""), path
        else:
            seen = f"/{rest}" if slash else "/"
        if seen == "/__space" or seen.startswith("/__space/"):
            raise Refusal("404 Not Found", "Paths below /__space/ are the platform's. See: freehold dev trigger")
        if place is None:
            raise Refusal("502 Bad Gateway", "The primary micro is not running.")
        return place, seen + question + query

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, to its end; whatever goes wrong on it stays its own."""
        try:
            await self._answer(reader, writer)
        except Refusal as refusal:
            writer.write(_page(refusal.status, str(refusal)))
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            pass
        finally:
            with contextlib.suppress(OSError):
                await writer.drain()
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = parse(await reader.readuntil(b"\r\n\r\n"))
        place, seen = self.route(head.first[1])
        if place.folder is not None:
            writer.write(_file(place.folder, head.first[0], seen))
            return
        upstream_reader, upstream = await _connect(place)
        try:
            upstream.write(self._request(head, seen))
            sending = asyncio.create_task(_copy(reader, upstream))
            try:
                await _relay(upstream_reader, writer)
            finally:
                sending.cancel()
        finally:
            upstream.close()

    def _request(self, head: Head, seen: str) -> bytes:
        upgrades = bool(head.value("upgrade"))
        lines = [f"{head.first[0]} {seen} {head.first[2]}"]
        for line in head.lines:
            name = line.partition(":")[0].strip().lower().replace("_", "-")
            if not name.startswith(_OURS) and (upgrades or name not in _HOP):
                lines.append(line)
        lines += [f"{name}: {value}" for name, value in self._identity.items()]
        if not upgrades:
            lines.append("Connection: close")
        return _bytes(lines)


def parse(raw: bytes) -> Head:
    """Raises Refusal for what is no HTTP/1 head."""
    first, *lines = raw.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise Refusal("400 Bad Request", "This is no HTTP request.")
    return Head((words[0], words[1], words[2]), tuple(lines))


async def _connect(place: Place) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Some servers listen on the one, some on the other local address, and most not at once."""
    until = time.monotonic() + PATIENCE_S
    while True:
        for address in ("127.0.0.1", "::1"):
            with contextlib.suppress(OSError):
                return await asyncio.open_connection(address, place.port, limit=HEAD_LIMIT)
        if time.monotonic() > until:
            raise Refusal("502 Bad Gateway", f"Micro {place.name} does not listen on port {place.port}.")
        await asyncio.sleep(_PAUSE_S)


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The answer, head by head (an interim one may come first), then all that follows."""
    while True:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        status = first.split(" ")[1] if " " in first else "502"
        interim = status.startswith("1") and status != "101"
        if not interim and status != "101":
            lines = [line for line in lines if line.partition(":")[0].strip().lower() not in _HOP]
            lines.append("Connection: close")
        writer.write(_bytes([first, *lines]))
        if not interim:
            break
    await _copy(reader, writer)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(COPY_BYTES):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        with contextlib.suppress(OSError):
            writer.write_eof()


def _file(folder: Path, method: str, seen: str) -> bytes:
    """A file of a static micro: index.html for folders, 404 otherwise."""
    if method not in ("GET", "HEAD"):
        raise Refusal("405 Method Not Allowed", "Files are only read.")
    path = (folder / unquote(seen.partition("?")[0]).lstrip("/")).resolve()
    path = path / "index.html" if path.is_dir() else path
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        raise Refusal("404 Not Found", "There is no such file.")
    content = path.read_bytes()
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    head = ["HTTP/1.1 200 OK", f"Content-Type: {kind}", f"Content-Length: {len(content)}", "Cache-Control: no-cache"]
    return _bytes([*head, "Connection: close"]) + (content if method == "GET" else b"")


def _page(status: str, text: str) -> bytes:
    body = f"{text}\n".encode()
    head = [f"HTTP/1.1 {status}", "Content-Type: text/plain; charset=utf-8", f"Content-Length: {len(body)}"]
    return _bytes([*head, "Connection: close"]) + body


def _bytes(lines: Sequence[str]) -> bytes:
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
