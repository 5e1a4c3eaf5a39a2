"""Messages over upgraded connections: `python -m tests.bench.echo PORT` is the app, `echoes` those who talk to it.

After the handshake bytes are bytes to every proxy, so neither end takes frames apart.
"""

import asyncio
import sys
import time
from collections.abc import Mapping

MESSAGE = b"\x82\x3e" + b"m" * 62
_UPGRADE = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    if b"upgrade: websocket" not in head.lower():
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        return writer.close()
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    )
    while data := await reader.read(65536):
        writer.write(data)
    return writer.close()


async def _talk(port: int, headers: Mapping[str, str], until: float) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = ["GET / HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), *_UPGRADE, "", ""]
    writer.write("\r\n".join(lines).encode())
    first = await reader.readuntil(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 101 "), first
    count = 0
    while time.monotonic() < until:
        writer.write(MESSAGE)
        assert await reader.readexactly(len(MESSAGE)) == MESSAGE
        count += 1
    writer.close()
    return count


def echoes(port: int, headers: Mapping[str, str], *, connections: int, seconds: float) -> float:
    """A second, of all connections together, each sending its next message when the last has come back."""

    async def all_of_them() -> int:
        until = time.monotonic() + seconds
        return sum(await asyncio.gather(*(_talk(port, headers, until) for _ in range(connections))))

    return asyncio.run(all_of_them()) / seconds


async def _app(port: int) -> None:
    async with await asyncio.start_server(_serve, "127.0.0.1", port) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_app(int(sys.argv[1])))
