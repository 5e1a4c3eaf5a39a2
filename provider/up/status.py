"""What the supervisor answers: JSON on $FREEHOLD_RUN/up.sock (for /healthz), Prometheus text on an inner port.

That text is everybody's in one: the supervisor's own, what live tells of rows and decisions, and the proxy's.
"""

import asyncio
import contextlib
import http.client
import json
import socket

from provider.up.supervisor import State, Supervisor

_PAGE_S = 5.0
STATES = tuple(
    State
)  # every state is a series from the start, so that a first failure is a change and not a new series


async def _answer_status(supervisor: Supervisor, writer: asyncio.StreamWriter) -> None:
    writer.write(json.dumps(await supervisor.components()).encode())


def metrics(supervisor: Supervisor) -> str:
    lines = ["# TYPE freehold_process_state gauge"]
    for name, member in supervisor.members.items():
        lines += [
            f'freehold_process_state{{process="{name}",state="{state}"}} {int(member.state is state)}'
            for state in STATES
        ]
    lines.append("# TYPE freehold_process_restarts_total counter")
    lines += [f'freehold_process_restarts_total{{process="{n}"}} {m.restarts}' for n, m in supervisor.members.items()]
    return "\n".join(lines) + "\n"


async def _answer_metrics(supervisor: Supervisor, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    async with asyncio.timeout(5):
        words = (await reader.readline()).split()
    found = len(words) > 1 and words[1] == b"/metrics"
    body = metrics(supervisor) + await _others(supervisor) if found else "not here\n"
    status = "200 OK" if found else "404 Not Found"
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nConnection: close\r\n"
    text = body.encode()
    writer.write(f"{head}Content-Length: {len(text)}\r\n\r\n".encode() + text)


async def _others(supervisor: Supervisor) -> str:
    """Of live and the proxy; of one that does not answer there is nothing, and its process_state says why."""
    texts = await asyncio.gather(
        asyncio.to_thread(_page, socket.AF_INET, ("127.0.0.1", supervisor.home.ports.live)),
        asyncio.to_thread(_page, socket.AF_UNIX, str(supervisor.home.run / "gate-inner.sock")),
    )
    return "".join(texts)


def _page(family: socket.AddressFamily, address: tuple[str, int] | str) -> str:
    link = http.client.HTTPConnection("localhost")
    with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(link):
        link.sock = socket.socket(family)
        link.sock.settimeout(_PAGE_S)
        link.sock.connect(address)
        link.request("GET", "/metrics")
        answer = link.getresponse()
        return answer.read().decode() if answer.status == 200 else ""
    return ""


async def serve(supervisor: Supervisor) -> None:
    """Listen on both; returns when they are open. They close with the program."""

    async def on_status(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError), contextlib.closing(writer):
            await _answer_status(supervisor, writer)
            await writer.drain()

    async def on_metrics(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError, ValueError), contextlib.closing(writer):
            await _answer_metrics(supervisor, reader, writer)
            await writer.drain()

    path = supervisor.home.status_socket
    path.unlink(missing_ok=True)
    await asyncio.start_unix_server(on_status, path)
    await asyncio.start_server(on_metrics, "127.0.0.1", supervisor.home.ports.metrics)
