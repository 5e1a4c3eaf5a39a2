"""HTTP as handlers see it, on ASGI: a request that knows its raw path, and answers."""

import asyncio
import json
import urllib.parse
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from tenants.data_server.errors import NoRange, NotAllowed, Refused

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

JSON = b"application/json"
# What is still taken of a body that is refused, so that clients which send first and listen later get the answer.
_DRAINED_BYTES = 12 * 1024 * 1024
_DRAIN_S = 2.0


class Disconnected(Exception):
    """The client went away in the middle of its body."""


class BodyTooLarge(Exception):
    """Beyond what the handler takes; it says what that means."""


@dataclass
class Request:
    """parts: the path's segments as sent, still encoded, without what an address prefix was."""

    scope: Scope
    receive: Receive
    method: str
    raw_path: bytes
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body_ended: bool = False

    @classmethod
    def of(cls, scope: Scope, receive: Receive) -> "Request":
        headers = {name.lower(): value for name, value in scope["headers"]}
        return cls(scope, receive, scope["method"], scope.get("raw_path") or scope["path"].encode(), headers)

    def header(self, name: bytes) -> str | None:
        found = self.headers.get(name)
        return None if found is None else found.decode("latin-1")

    def announced_bytes(self) -> int | None:
        found = self.headers.get(b"content-length", b"")
        return int(found) if found.isdigit() else None

    def parameters(self) -> dict[str, str]:
        """Of the query string, `+` as space; the first of equal names counts."""
        return {name: decode(value.replace(b"+", b" ")) for name, value in self._pairs().items()}

    def raw_parameter(self, name: str) -> bytes:
        return self._pairs().get(name, b"")

    def _pairs(self) -> dict[str, bytes]:
        pairs: dict[str, bytes] = {}
        for pair in self.scope["query_string"].split(b"&"):
            name, _, value = pair.partition(b"=")
            pairs.setdefault(name.decode("latin-1"), value)
        return pairs

    async def content(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises Disconnected."""
        while not self.body_ended:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            self.body_ended = not message.get("more_body", False)
            if body := message.get("body", b""):
                yield body

    async def body(self, limit_bytes: int) -> bytes:
        """All of it. Raises BodyTooLarge, before reading where the length is announced; Disconnected."""
        if (self.announced_bytes() or 0) > limit_bytes:
            raise BodyTooLarge
        found = bytearray()
        async for piece in self.content():
            found += piece
            if len(found) > limit_bytes:
                raise BodyTooLarge
        return bytes(found)

    async def drain(self) -> bool:
        """Take a little of what is left of the body. Returns whether that was all."""
        left = _DRAINED_BYTES
        try:
            async with asyncio.timeout(_DRAIN_S):
                async for piece in self.content():
                    left -= len(piece)
                    if left < 0:
                        return False
        except (TimeoutError, Disconnected):
            return False
        return True


@dataclass
class Answer:
    """body: bytes, or what yields them; then size_bytes says how many come."""

    status: int
    body: bytes | AsyncIterator[bytes] = b""
    content_type: bytes = JSON
    headers: Headers = field(default_factory=list)
    size_bytes: int | None = None
    close: Callable[[], None] | None = None


def reply(status: int, value: Any) -> Answer:
    return Answer(status, encode(value))


def encode(value: Any) -> bytes:
    """JSON; escapes where UTF-8 cannot hold a text."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


def refusal(error: Refused) -> Answer:
    answer = reply(error.status, {"errors": list(error.errors)})
    if isinstance(error, NotAllowed):
        answer.headers.append((b"allow", error.allow.encode()))
    if isinstance(error, NoRange):
        answer.headers.append((b"content-range", f"bytes */{error.size_bytes}".encode()))
    return answer


def decode(segment: bytes) -> str:
    """Percent-decoded, once. Raises Refused for what is not UTF-8."""
    try:
        return urllib.parse.unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        raise Refused("The address is not valid UTF-8") from None


def byte_range(header: str | None, size_bytes: int) -> tuple[int, int] | None:
    """(first, one past the last) of a single range; None where all is to be sent. Raises NoRange."""
    unit, _, wanted = (header or "").partition("=")
    first, dash, last = wanted.strip().partition("-")
    if unit.strip().lower() != "bytes" or not dash or not all(one == "" or _is_count(one) for one in (first, last)):
        return None
    if not first and not last:
        return None
    if not first:
        begin, end = max(0, size_bytes - int(last)), size_bytes
        if not int(last):
            raise NoRange(size_bytes)
    else:
        begin, end = int(first), min(int(last) + 1, size_bytes) if last else size_bytes
        if last and int(last) < begin:
            return None
    if begin >= size_bytes:
        raise NoRange(size_bytes)
    return begin, end


async def send_answer(answer: Answer, request: Request, send: Send) -> None:
    """HEAD gets no body. What is left of the request's body is not read on and on: the connection ends instead."""
    headers = [(b"content-type", answer.content_type), *answer.headers]
    size = len(answer.body) if isinstance(answer.body, bytes) else answer.size_bytes
    if size is not None:
        headers.append((b"content-length", str(size).encode()))
    has_body = request.announced_bytes() or b"transfer-encoding" in request.headers
    if has_body and not request.body_ended and not await request.drain():
        headers.append((b"connection", b"close"))
    try:
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        if isinstance(answer.body, bytes) or request.method == "HEAD":
            body = answer.body if isinstance(answer.body, bytes) and request.method != "HEAD" else b""
            await send({"type": "http.response.body", "body": body})
            return
        await _send_pieces(answer.body, request, send)
    finally:
        if answer.close is not None:
            answer.close()


async def _send_pieces(pieces: AsyncIterator[bytes], request: Request, send: Send) -> None:
    """Until the client goes away: servers let us send into nothing without a word."""
    gone = asyncio.ensure_future(_gone(request))
    try:
        async for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            if gone.done():
                return
        await send({"type": "http.response.body", "body": b""})
    finally:
        gone.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18
