"""Open streams (WebSocket, server-sent events) end with the right to them: a session, an invitation or a key. No Django.

The proxy notes whose each stream is when it begins (streams.cfg.template); the agent looks through the notes. A browser that
speaks HTTP/2 has one connection for several streams, and they end together: it opens again what may be open.
"""

import re
import time
from collections.abc import Container, Mapping
from dataclasses import dataclass

from provider.gate import entry as home
from provider.gate.feed import Placement
from provider.gate.proxy import Entry, Proxy

LOOK_S = 2.0
_STREAM = re.compile(r"^(0x[0-9a-f]+): proto=\S+ src=(\S+) ", re.MULTILINE)


@dataclass(frozen=True)
class Stream:
    """source: "address:port" of the client. sid, sub, role: of a session; app_key, own_key: SHA-256, the latter
    shortened. "" for none."""

    source: str
    instance: str
    sid: str
    sub: str
    role: str
    app_key: str
    own_key: str


def read(entry: Entry) -> Stream:
    source, _, instance = entry.key.rpartition("/")
    fields = [field.strip("-") for field in entry.value.split("/")]
    return Stream(source, instance, *(fields + [""] * 5)[:5])


def may_go_on(stream: Stream, placements: Mapping[str, Placement], revoked: Container[str], now: float) -> bool:
    """By what the proxy's maps say now. An instance that is gone has nothing to say."""
    entries = placements.get(stream.instance)
    if entries is None:
        return False
    if stream.sub:
        guest = ("guests", f"{stream.instance}/{stream.sub}", "1")
        return stream.sid not in revoked and (stream.role == "owner" or guest in entries)
    if stream.own_key and any(
        name == "hosts" and home.read(value).own_key == stream.own_key for name, _, value in entries
    ):
        return True
    return any(
        name == "appkeys" and key.endswith(f"/{stream.app_key}") and int(until) > now
        for name, key, until in entries
        if stream.app_key
    )


def cut(proxy: Proxy, placements: Mapping[str, Placement], revoked: Container[str], *, tidy: bool) -> int:
    """End the streams to which nobody has a right any more; returns how many. Repeating is safe.

    tidy: also forget the notes of streams that ended by themselves. Raises ProxyUnavailable.
    """
    entries, now = proxy.entries("streams"), time.time()
    over = [entry for entry in entries if not may_go_on(read(entry), placements, revoked, now)]
    if not over and not (tidy and entries):
        return 0
    sources = {read(entry).source for entry in over}
    there = _STREAM.findall(proxy.ask("show sess"))
    ended = [reference for reference, source in there if source in sources]
    for reference in ended:
        proxy.ask(f"shutdown session {reference}")
    known = {source for _, source in there}
    for entry in entries:
        if entry in over or read(entry).source not in known:
            proxy.drop("streams", entry.key)
    return len(ended)
