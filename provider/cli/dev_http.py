"""HTTP as far as the local address needs it: heads of requests and answers as lines, everything else as bytes passed on.

Each connection carries one request. That keeps bodies, streams and WebSockets plain copies of bytes in both directions.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

HEAD_LIMIT = 64 * 1024
_COPY_BYTES = 64 * 1024
HOP = ("connection", "keep-alive", "proxy-connection")


@dataclass(frozen=True)
class Head:
    """The first line's three words and the other lines, without their ends."""

    first: tuple[str, str, str]
    lines: tuple[str, ...]

    def value(self, name: str) -> str:
        found = (line.partition(":")[2].strip() for line in self.lines if name_of(line) == name)
        return next(found, "")


class Refusal(Exception):
    """What the browser is told: a status and a sentence, or a body of its own kind."""

    def __init__(self, status: str, text: str, kind: str = "text/plain; charset=utf-8") -> None:
        super().__init__(text)
        self.status, self.kind = status, kind

    @property
    def page(self) -> bytes:
        body = f"{self}\n".encode()
        head = [f"HTTP/1.1 {self.status}", f"Content-Type: {self.kind}", f"Content-Length: {len(body)}"]
        return joined([*head, "Connection: close"]) + body


def name_of(line: str) -> str:
    return line.partition(":")[0].strip().lower()


def parse(raw: bytes) -> Head:
    """Raises Refusal for what is no HTTP/1 head."""
    first, *lines = raw.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise Refusal("400 Bad Request", "This is no HTTP request.")
    return Head((words[0], words[1], words[2]), tuple(lines))


async def pass_on(
    head: bytes,
    here: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    there: tuple[asyncio.StreamReader, asyncio.StreamWriter],
) -> None:
    """Send `head` and what follows it on `here` to `there`, and the answer back; `there` is closed at the end."""
    try:
        there[1].write(head)
        sending = asyncio.create_task(copy(here[0], there[1]))
        try:
            await _relay(there[0], here[1])
        finally:
            sending.cancel()
    finally:
        there[1].close()


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The answer, head by head (an interim one may come first), then all that follows."""
    while True:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        status = first.split(" ")[1] if " " in first else "502"
        interim = status.startswith("1") and status != "101"
        if not interim and status != "101":
            lines = [line for line in lines if name_of(line) not in HOP]
            lines.append("Connection: close")
        writer.write(joined([first, *lines]))
        if not interim:
            break
    await copy(reader, writer)


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_COPY_BYTES):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        with contextlib.suppress(OSError):
            writer.write_eof()


def joined(lines: Sequence[str]) -> bytes:
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
