"""The agent's socket: one JSON line in, `{"verb": …}`; lines of JSON out.

poke {cloud_id, instance_id?, job_id?}: look at it now. watch: changes as they come, everything that exists first, an empty
line every few seconds. usage {cloud_id}. samples. ping. shutdown: stop every sandbox and end; answers when all are gone.
"""

import asyncio
import contextlib
import json
import os
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from k8s.local import documents
from k8s.local.host import Host
from k8s.local.journal import log
from k8s.specs import Change, CloudUsage, Sample

_BEAT_S = 5.0


@dataclass(frozen=True)
class Verbs:
    """What the socket can ask of the agent."""

    poke: Callable[[str, str | None, str | None], None]
    everything: Callable[[], Iterable[Change]]
    usage: Callable[[str], CloudUsage]
    samples: Callable[[], list[Sample]]
    shutdown: Callable[[], Awaitable[None]]


async def serve(path: Path, host: Host, verbs: Verbs) -> asyncio.Server:
    """Listen on `path` (0600). A file that a killed agent left there is replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    mask = os.umask(0o177)
    try:
        return await asyncio.start_unix_server(lambda r, w: _answer(r, w, host, verbs), str(path))
    finally:
        os.umask(mask)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: Host, verbs: Verbs) -> None:
    try:
        request: dict[str, Any] = json.loads(await reader.readline() or b"{}")
        await _dispatch(request, writer, host, verbs)
    except (ConnectionError, ValueError, KeyError) as error:
        log.debug("event=socket_closed detail=%s", error)
    finally:
        writer.close()


async def _dispatch(request: dict[str, Any], writer: asyncio.StreamWriter, host: Host, verbs: Verbs) -> None:
    verb = request.get("verb")
    if verb == "poke":
        verbs.poke(request["cloud_id"], request.get("instance_id"), request.get("job_id"))
    elif verb == "watch":
        await _watch(writer, host, verbs)
    elif verb == "usage":
        _send(writer, await asyncio.to_thread(verbs.usage, request["cloud_id"]))
    elif verb == "samples":
        for sample in await asyncio.to_thread(verbs.samples):
            _send(writer, sample)
    elif verb == "ping":
        _send(writer, {"status": "ok"})
    elif verb == "shutdown":
        await verbs.shutdown()
        _send(writer, {"status": "stopped"})
    with contextlib.suppress(ConnectionError):
        await writer.drain()


async def _watch(writer: asyncio.StreamWriter, host: Host, verbs: Verbs) -> None:
    queue = host.watch()  # before the listing: what changes meanwhile comes twice rather than never
    try:
        for change in verbs.everything():
            _send(writer, change)
        while not writer.is_closing():
            try:
                _send(writer, await asyncio.wait_for(queue.get(), _BEAT_S))
            except TimeoutError:
                writer.write(b"\n")
            await writer.drain()
    finally:
        host.unwatch(queue)


def _send(writer: asyncio.StreamWriter, document: object) -> None:
    writer.write(documents.text(document).encode() + b"\n")
