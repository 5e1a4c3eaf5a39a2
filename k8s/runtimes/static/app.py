"""The ASGI application of the static server. Believes one header, from the gate, and serves read-only files."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from k8s.errors import ClusterError
from k8s.runtimes.static.files import Found, Tags, Target, find, parse_range

_CHUNK = 64 * 1024
_HASH_INLINE_BYTES = 256 * 1024
_PATHSEND = "http.response.pathsend"

Headers = dict[bytes, bytes]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Unpack = Callable[[Path, str, Path], Path]


class StaticApp:
    """store: artifacts by digest. bundles: where they are unpacked. unpack: k8s.local.artifacts.ensure_unpacked."""

    def __init__(self, store: Path, bundles: Path, unpack: Unpack) -> None:
        self._store, self._bundles, self._unpack = store, bundles, unpack
        self._tags = Tags()
        self._folders: dict[str, Path] = {}
        self._unpacking = asyncio.Lock()

    async def __call__(self, scope: Mapping[str, Any], _receive: object, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        if scope["method"] not in ("GET", "HEAD"):
            await _short(send, 405, b"only GET and HEAD are served here\n", {b"allow": b"GET, HEAD"})
            return
        target = Target.read(headers.get(b"x-freehold-static", b"").decode("latin-1"))
        folder = await self._folder(target) if target else None
        if target is None or folder is None:
            await _short(send, 404, b"not found\n")
            return
        await self._serve(scope, headers, send, find(folder / target.folder, scope["path"], spa=target.spa))

    async def _folder(self, target: Target) -> Path | None:
        """The unpacked artifact; None if the store does not hold it."""
        known = self._folders.get(target.digest)
        if known is not None and known.is_dir():
            os.utime(known)  # the clearing of unused bundles looks at it
            return known
        async with self._unpacking:
            try:
                folder = await asyncio.to_thread(self._unpack, self._store, target.digest, self._bundles)
            except (FileNotFoundError, ClusterError):
                return None
        self._folders[target.digest] = folder
        return folder

    async def _serve(self, scope: Mapping[str, Any], headers: Headers, send: Send, found: Found) -> None:
        if found.redirect:
            await _short(send, 302, b"", {b"location": _with_slash(scope)})
        elif found.path is None:
            await _short(send, 404, b"not found\n")
        else:
            await self._send_file(scope, headers, send, found)

    async def _send_file(self, scope: Mapping[str, Any], headers: Headers, send: Send, found: Found) -> None:
        tag = (await self._tag(found)).encode()
        answer = {b"etag": tag, b"cache-control": b"no-cache", b"accept-ranges": b"bytes"}
        if found.status == 200 and _lists(headers.get(b"if-none-match", b""), tag):
            await _start(send, 304, answer)
            await send({"type": "http.response.body", "body": b""})
            return
        wanted = _range(headers, found, tag)
        if wanted is False:
            await _short(send, 416, b"", {**answer, b"content-range": b"bytes */%d" % found.size})
            return
        first, last = wanted if isinstance(wanted, tuple) else (0, found.size - 1)
        if isinstance(wanted, tuple):
            answer[b"content-range"] = b"bytes %d-%d/%d" % (first, last, found.size)
        answer |= {b"content-type": found.content_type.encode(), b"content-length": b"%d" % (last - first + 1)}
        await _start(send, 206 if isinstance(wanted, tuple) else found.status, answer)
        await _body(scope, send, found, first, last)

    async def _tag(self, found: Found) -> str:
        known = self._tags.known(found)
        if known is not None:
            return known
        if found.size <= _HASH_INLINE_BYTES:
            return self._tags.compute(found)
        return await asyncio.to_thread(self._tags.compute, found)


def _range(headers: Headers, found: Found, tag: bytes) -> tuple[int, int] | None | bool:
    header = headers.get(b"range")
    if header is None or found.status != 200 or headers.get(b"if-range", tag).strip() != tag:
        return None
    return parse_range(header.decode("latin-1"), found.size)


def _lists(header: bytes, tag: bytes) -> bool:
    """If-None-Match compares weakly: a proxy on the way may have marked our tag so."""
    listed = [item.strip().removeprefix(b"W/") for item in header.split(b",")]
    return tag in listed or listed == [b"*"]


def _with_slash(scope: Mapping[str, Any]) -> bytes:
    """Relative to the address that the browser sees, whose first segment may have been stripped before us."""
    last = quote(scope["path"].rsplit("/", 1)[-1], safe="")
    query = scope.get("query_string", b"")
    return b"./" + last.encode() + b"/" + (b"?" + query if query else b"")


async def _body(scope: Mapping[str, Any], send: Send, found: Found, first: int, last: int) -> None:
    if scope["method"] == "HEAD" or last < first or found.path is None:
        await send({"type": "http.response.body", "body": b""})
        return
    whole = first == 0 and last == found.size - 1
    if whole and found.size > _CHUNK and _PATHSEND in (scope.get("extensions") or {}):
        await send({"type": _PATHSEND, "path": str(found.path)})
        return
    with found.path.open("rb") as file:
        file.seek(first)
        left = last - first + 1
        while left > 0:
            chunk = file.read(min(_CHUNK, left))
            left = left - len(chunk) if chunk else 0
            await send({"type": "http.response.body", "body": chunk, "more_body": left > 0})


async def _start(send: Send, status: int, headers: Headers) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers.items())})


async def _short(send: Send, status: int, body: bytes, headers: Headers | None = None) -> None:
    base = {b"content-type": b"text/plain; charset=utf-8", b"content-length": b"%d" % len(body)}
    await _start(send, status, {**base, b"cache-control": b"no-cache", **(headers or {})})
    await send({"type": "http.response.body", "body": body})
