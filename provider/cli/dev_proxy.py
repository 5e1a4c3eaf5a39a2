"""One local address for all micros: the first path segment chooses, is removed, and the visitor is the signed-in owner."""

import asyncio
import contextlib
import mimetypes
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from provider.cli import dev_data
from provider.cli.dev_data import DataAddress
from provider.cli.dev_http import HEAD_LIMIT, HOP, Head, Refusal, joined, name_of, parse, pass_on

PATIENCE_S = 15.0  # for a micro that is still starting
_PAUSE_S = 0.1
_OURS = ("x-freehold-", "x-forwarded-", "x-user", "forwarded", "remote-user", "x-upstream", "x-space-app-key")


@dataclass(frozen=True)
class Place:
    """Where a micro is: a port that it listens on, or a folder of files. mount "" is the primary's."""

    name: str
    mount: str
    port: int | None = None
    folder: Path | None = None


class Router:
    """identity: headers by which an app knows its owner; the same names are never taken from a request. data: what pages
    of the app reach below /__space/v0/."""

    def __init__(self, places: Sequence[Place], identity: Mapping[str, str], data: DataAddress | None = None) -> None:
        self._data = data
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
            writer.write(refusal.page)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            pass
        finally:
            with contextlib.suppress(OSError):
                await writer.drain()
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = parse(await reader.readuntil(b"\r\n\r\n"))
        if dev_data.is_meant(head.first[1]):
            await dev_data.answer(self._data, head, reader, writer)
            return
        place, seen = self.route(head.first[1])
        if place.folder is not None:
            writer.write(_file(place.folder, head.first[0], seen))
            return
        upstream = await _connect(place)
        await pass_on(self._request(head, seen), (reader, writer), upstream)

    def _request(self, head: Head, seen: str) -> bytes:
        upgrades = bool(head.value("upgrade"))
        lines = [f"{head.first[0]} {seen} {head.first[2]}"]
        for line in head.lines:
            name = name_of(line).replace("_", "-")
            if not name.startswith(_OURS) and (upgrades or name not in HOP):
                lines.append(line)
        lines += [f"{name}: {value}" for name, value in self._identity.items()]
        if not upgrades:
            lines.append("Connection: close")
        return joined(lines)


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
    return joined([*head, "Connection: close"]) + (content if method == "GET" else b"")
