"""Questions to running processes over their own protocols, so that the supervisor needs no client libraries."""

import asyncio
import json
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from provider.up.process import Probe

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
PULSE_LIMIT_S = 30.0


@asynccontextmanager
async def _tcp(port: int) -> AsyncIterator[Streams]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


@asynccontextmanager
async def _unix(path: Path) -> AsyncIterator[Streams]:
    reader, writer = await asyncio.open_unix_connection(str(path))
    try:
        yield reader, writer
    finally:
        writer.close()


def tcp(port: int) -> Probe:
    async def probe(_started_at: float) -> str:
        async with _tcp(port):
            return ""

    return probe


def unix(path: Path) -> Probe:
    async def probe(_started_at: float) -> str:
        async with _unix(path):
            return ""

    return probe


def http(port: int, path: str, host: str = "localhost") -> Probe:
    """Healthy while a GET is answered with a status below 500."""

    async def probe(_started_at: float) -> str:
        async with _tcp(port) as (reader, writer):
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            words = (await reader.readline()).split()
        if len(words) < 2 or not words[1].isdigit():
            return "does not speak HTTP"
        return "" if int(words[1]) < 500 else f"answers {int(words[1])}"

    return probe


def postgres(port: int, user: str, database: str) -> Probe:
    """As pg_isready does: a start-up message is answered by a request to authenticate once connections are accepted."""
    pairs = f"user\0{user}\0database\0{database}\0\0".encode()
    message = struct.pack("!II", len(pairs) + 8, 196608) + pairs

    async def probe(_started_at: float) -> str:
        async with _tcp(port) as (reader, writer):
            writer.write(message)
            answer = await reader.read(1)
        return "" if answer == b"R" else "does not accept connections yet"

    return probe


async def _redis_reply(path: Path, *words: str) -> str | None:
    async with _unix(path) as (reader, writer):
        parts = "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
        writer.write(f"*{len(words)}\r\n{parts}".encode())
        head = (await reader.readline()).decode().strip()
        if head.startswith("$"):
            return None if head == "$-1" else (await reader.readline()).decode().strip()
        return head


def redis(path: Path) -> Probe:
    async def probe(_started_at: float) -> str:
        answer = await _redis_reply(path, "PING")
        return "" if answer == "+PONG" else f"answers {answer!r}"

    return probe


def pulse(redis_socket: Path, key: str) -> Probe:
    """Healthy while the process keeps writing the time (epoch seconds) into a Redis key: see provider.pulse."""

    async def probe(started_at: float) -> str:
        answer = await _redis_reply(redis_socket, "GET", key)
        beat = float(answer) if answer else 0.0
        if beat < started_at:
            # Redis may have been flushed or restarted: a process that has run for a while gets time to beat again.
            return "no heartbeat yet"
        age = time.time() - beat
        return "" if age < PULSE_LIMIT_S else f"last heartbeat {age:.0f} s ago"

    return probe


def heartbeat(path: Path, limit_s: float) -> Probe:
    """Healthy while the process keeps writing `{"beat": epoch seconds, "error": sentence or ""}` into the file."""

    async def probe(started_at: float) -> str:
        said = json.loads(path.read_text()) if path.exists() else {}
        beat = float(said.get("beat", 0.0))
        if said.get("error") or beat < started_at:
            return said.get("error") or "no heartbeat yet"
        age = time.time() - beat
        return "" if age < limit_s else f"last heartbeat {age:.0f} s ago"

    return probe


async def ask(probe: Probe, started_at: float, timeout_s: float) -> str:
    """The probe's verdict; no answer in time is a verdict too."""
    try:
        # Not wait_for, which before Python 3.12 can lose a cancellation that comes together with the answer.
        async with asyncio.timeout(timeout_s):
            return await probe(started_at)
    except TimeoutError:
        return f"no answer in {timeout_s:g} s"
    except (OSError, ValueError) as error:
        return f"no answer ({error.__class__.__name__})"
