"""`python -m provider.gate.agent`: keeps the maps of the running proxy equal to the database. Imports no Django.

It reads everything once, then a change feed; after every successful read it writes a heartbeat into the proxy, and without
one for 5 s the proxy believes no cookie by itself. Only one per proxy.
"""

import json
import logging
import os
import secrets
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from provider.gate import feed, feed_access, feed_data, feed_limits, streams, usage
from provider.gate.appsession import for_proxy, parse_keys
from provider.gate.drains import Sleepers
from provider.gate.nudges import Nudges
from provider.gate.proxy import Proxy, ProxyUnavailable

log = logging.getLogger("gate-agent")

POLL_S = 0.4
COMPARE_S = 60.0


@dataclass(frozen=True)
class AgentConfig:
    """session_keys: kid → secret as the proxy wants it."""

    database_url: str
    redis_url: str
    proxy: Proxy
    status_file: Path
    session_keys: dict[str, str]
    cell: str
    data_key: str
    gate: str


def from_environment(environ: Mapping[str, str] = os.environ) -> AgentConfig:
    """The names are those of provider/settings.py. Raises KeyError naming what must be set."""
    home = Path(environ["FREEHOLD_HOME"])
    run = Path(environ.get("FREEHOLD_RUN") or home / "run")
    return AgentConfig(
        database_url=environ["DATABASE_URL"],
        redis_url=environ.get("REDIS_URL") or f"unix://{run}/redis.sock",
        proxy=Proxy(run / "gate.sock", home / "gate"),
        status_file=run / "gate-agent.json",
        session_keys=for_proxy(parse_keys(environ["FREEHOLD_SESSION_KEYS"].split(","))),
        cell=environ.get("FREEHOLD_CELL") or "local",
        data_key=environ["FREEHOLD_DATA_KEY"],
        gate=f"{socket.gethostname()}:{run}"[:120],
    )


@dataclass
class Agent:
    """`step` brings the proxy up to date once.

    token marks a proxy that this agent has filled; a number, since the proxy's state map holds nothing else.
    """

    config: AgentConfig
    connection: "psycopg.Connection | None" = None
    token: str = field(default_factory=lambda: str(secrets.randbits(48)))
    placements: dict[str, feed.Placement] = field(default_factory=dict)
    cursor: feed.Cursor | None = None
    compared_at: float = 0.0
    reported_at: float = 0.0
    lag_s: float = 0.0
    revoked: set[str] = field(default_factory=set)
    looked_at: float = 0.0

    def __post_init__(self) -> None:
        self._sleepers = Sleepers(self.config.proxy, self.config.gate, self.config.cell)
        self._meter = usage.Meter(self.config.proxy, self.config.gate)

    def step(self) -> None:
        """Raises psycopg.Error or ProxyUnavailable; then nothing was confirmed, and the next call starts where needed."""
        began = time.time()
        connection = self._connected()
        self._sleepers.show_up(connection)
        drains = self._sleepers.draining(connection)
        filled = any(entry.key == "loaded" and entry.value == self.token for entry in self._proxy.entries("state"))
        reloads = self.cursor is None or not filled or time.monotonic() - self.compared_at > COMPARE_S
        if reloads or self.cursor is None:
            self._load(connection, knows=filled and self.cursor is not None)
        else:
            self._follow(connection, self.cursor)
        # The time before the read: what was committed later may be unknown to the proxy.
        self._proxy.overwrite("beat", str(int(began)))
        self._sleepers.answer(connection, drains, self.placements)
        self._sleepers.tell_use(connection)
        if reloads or time.monotonic() - self.looked_at > streams.LOOK_S:
            self.looked_at = time.monotonic()
            streams.cut(self._proxy, self.placements, self.revoked, tidy=reloads)
        if time.monotonic() - self.reported_at > usage.EVERY_S:
            self.reported_at = time.monotonic()
            usage.report(connection, self._proxy, began)
        self._meter.read(connection)

    @property
    def _proxy(self) -> Proxy:
        return self.config.proxy

    def _connected(self) -> psycopg.Connection:
        if self.connection is None or self.connection.closed:
            self.connection = psycopg.connect(
                self.config.database_url, autocommit=True, connect_timeout=3, application_name="gate-agent"
            )
            self.connection.execute("SET statement_timeout = '20s'")
        return self.connection

    def _load(self, connection: psycopg.Connection, *, knows: bool) -> None:
        """Everything, and in an order in which nobody is let in too early: hosts come last. knows: the proxy has what was
        placed before, so that what changed since is changed without a gap; comparing mends only what nobody placed."""
        snapshot = feed.load_all(connection, self.config.cell)
        wanted: dict[str, dict[str, str]] = {"revoked": snapshot.revoked, "keys": self.config.session_keys}
        for name in feed.PLACED:
            wanted[name] = {}
        placements = self._with_access(connection, snapshot.placements, None) | feed_data.load(
            connection, self.config.cell, self.config.data_key, None
        )
        if knows:
            before = self.placements
            self._place(
                [pk for pk in before.keys() | placements.keys() if before.get(pk) != placements.get(pk)], placements
            )
        for entries in placements.values():
            for name, key, value in entries:
                wanted[name][key] = value
        wrong = {name: count for name, entries in wanted.items() if (count := self._proxy.converge(name, entries))}
        if wrong:
            log.info("gate_loaded corrected=%s", json.dumps(wrong).replace(" ", ""))
        # What changed between the two reads is in the feed after the cursor, and is read again.
        self.placements, self.cursor = placements, snapshot.cursor
        self.revoked, self.compared_at = set(snapshot.revoked), time.monotonic()
        self._proxy.overwrite("loaded", self.token)

    def _follow(self, connection: psycopg.Connection, cursor: feed.Cursor) -> None:
        found, after = feed.changes(connection, cursor)
        for sid in feed.load_revoked(connection, found.sessions) if found.sessions else ():
            self._proxy.put("revoked", sid, "1")
            self.revoked.add(sid)
        also = feed_data.instances_of(connection, found.clouds) if found.clouds else []
        if ids := list({*found.instances, *also}):
            now = feed.load_placements(connection, self.config.cell, ids)
            self._place(ids, self._with_access(connection, now, ids))
        if found.clouds:
            now = feed_data.load(connection, self.config.cell, self.config.data_key, found.clouds)
            self._place(found.clouds, now)
        if found.oldest:
            self.lag_s = max(0.0, (datetime.now(UTC) - found.oldest).total_seconds())
        self.cursor = after

    def _with_access(
        self, connection: psycopg.Connection, placements: dict[str, feed.Placement], ids: list[str] | None
    ) -> dict[str, feed.Placement]:
        """Who may enter, and how often, stands with where it leads. What changed in between is read once more."""
        placements = feed_data.with_data(connection, self.config.cell, ids, placements)
        placements = feed_access.with_access(connection, self.config.cell, self.config.data_key, ids, placements)
        access = feed_access.load(connection, self.config.cell, ids)
        limits, none = feed_limits.load(connection, self.config.cell, ids), frozenset[tuple[str, str, str]]()
        return {key: entries | access.get(key, none) | limits.get(key, none) for key, entries in placements.items()}

    def _place(self, ids: list[str], now: dict[str, feed.Placement]) -> None:
        """Apply the difference. All that goes, goes first: a place may have passed from one instance to another."""
        nothing: feed.Placement = frozenset()
        for instance_id in ids:
            kept = _hosts(now.get(instance_id, nothing))
            for name, key, _ in self.placements.get(instance_id, nothing) - now.get(instance_id, nothing):
                if name != "hosts" or key not in kept:
                    self._proxy.drop(name, key)
        for instance_id in ids:
            known = _hosts(self.placements.get(instance_id, nothing))
            for name, key, value in now.get(instance_id, nothing) - self.placements.get(instance_id, nothing):
                # A host that stays is there all the time: without it, whoever asks is told that there is no such place.
                (self._proxy.change if name == "hosts" and key in known else self._proxy.put)(name, key, value)
            if instance_id in now:
                self.placements[instance_id] = now[instance_id]
            else:
                self.placements.pop(instance_id, None)


def _hosts(entries: feed.Placement) -> set[str]:
    return {key for name, key, _ in entries if name == "hosts"}


def write_status(agent: Agent, error: str) -> None:
    """gate-agent.json for /healthz.

    beat: when a read last succeeded (epoch seconds, 0: never); lag_s: how long the last change took to get here.
    """
    previous = agent.config.status_file
    status = {
        "pid": os.getpid(),
        "beat": 0.0 if error else time.time(),
        "lag_s": round(agent.lag_s, 3),
        "instances": len(agent.placements),
        "revoked": len(agent.revoked),
        "error": error,
    }
    if error and previous.exists():
        status["beat"] = json.loads(previous.read_text() or "{}").get("beat", 0.0)
    draft = previous.with_suffix(".new")
    draft.write_text(json.dumps(status))
    draft.replace(previous)


def run(config: AgentConfig) -> None:
    """For ever. What fails is said once, shown in the status, and tried again."""
    agent, nudges, said = Agent(config), Nudges(config.redis_url), ""
    while True:
        error = ""
        try:
            agent.step()
        except (psycopg.Error, ProxyUnavailable) as failure:
            # Whatever was applied halfway is compared in full next time.
            agent.cursor, error = None, " ".join(str(failure).split()) or type(failure).__name__
            if agent.connection is not None and isinstance(failure, psycopg.Error):
                agent.connection.close()
        if error != said:
            log.warning("gate_agent error=%s", json.dumps(error)) if error else log.info("gate_agent recovered")
            said = error
        write_status(agent, error)
        nudges.wait(POLL_S)


def main() -> None:
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="level=%(levelname)s logger=%(name)s %(message)s")
    try:
        run(from_environment())
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
