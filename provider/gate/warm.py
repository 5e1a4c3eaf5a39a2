"""Public routes that this process has read lately, so that a request to one costs the database nothing.

What is kept says only which paths anyone may open; where an app is, the proxy's own maps say, and only while its agent's
heartbeat is fresh (verdicts.py answers everything else). A thread reads the gate's change feed as the agent does and forgets
what changed; when it cannot read, nothing that is kept counts. Nothing here touches Django's connections.
"""

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import psycopg
from django.conf import settings

from apps_catalog.public_routes import canonical_path, matches_public
from provider.gate import feed
from provider.gate.asking import CALLBACK, Ask
from provider.gate.nudges import Nudges
from provider.gate.routing import split

log = logging.getLogger(__name__)

POLL_S = 0.4
# Below the 5 s within which a change must count everywhere.
TRUST_S = 2.0
HOSTS = 20_000

Routes = Mapping[str, tuple[str, ...]]


@dataclass
class Warm:
    """routes: host → mount → public routes. epoch: counts what was forgotten, so that nothing older is put in after it."""

    routes: dict[str, Routes] = field(default_factory=dict)
    hosts: dict[str, str] = field(default_factory=dict)
    epoch: int = 0
    read_at: float = float("-inf")
    lock: threading.Lock = field(default_factory=threading.Lock)

    def is_public(self, ask: Ask) -> bool | None:
        """Whether anyone may have it; None where that is not known, or is not all there is to it."""
        if not ask.awake or ask.program or "freehold_" in ask.cookie or ask.path == CALLBACK:
            return None
        if time.monotonic() - self.read_at > TRUST_S or (routes := self.routes.get(ask.host)) is None:
            return None
        mount, path = split(ask.path, routes)
        plain = canonical_path(path) if mount in routes else None
        return plain is not None and mount is not None and matches_public(routes[mount], plain)

    def learn(self, epoch: int, host: str, instance_id: str, routes: Routes) -> None:
        """Read by somebody who had seen this epoch before he looked."""
        with self.lock:
            if epoch != self.epoch:
                return
            if len(self.routes) >= HOSTS:
                self._clear()
            self.routes[host], self.hosts[instance_id] = routes, host

    def forget(self, instance_ids: list[str] | None) -> None:
        """These, or with None everything."""
        with self.lock:
            self.epoch += 1
            if instance_ids is None:
                self._clear()
            for instance_id in instance_ids or ():
                self.routes.pop(self.hosts.pop(instance_id, ""), None)

    def _clear(self) -> None:
        self.routes.clear()
        self.hosts.clear()


WARM = Warm()
_started = threading.Lock()


def follow() -> None:
    """Begin to, once in a process; later calls do nothing."""
    if _started.acquire(blocking=False):
        threading.Thread(target=_follow_for_ever, name="warm", daemon=True).start()


def _follow_for_ever() -> None:
    nudges, said = Nudges(settings.REDIS_URL), ""
    while True:
        try:
            with psycopg.connect(settings.DATABASE_URL, autocommit=True, connect_timeout=3) as connection:
                connection.execute("SET statement_timeout = '5s'")
                said = ""
                _follow(connection, nudges)
        except psycopg.Error as error:
            WARM.read_at = float("-inf")
            WARM.forget(None)
            if str(error) != said:
                log.warning("warm_routes_not_followed error=%s", " ".join(str(error).split()))
            said = str(error)
            time.sleep(1)


def _follow(connection: psycopg.Connection, nudges: Nudges) -> None:
    """Until something fails. What was learnt is forgotten after there is a cursor: a change in between is in it."""
    cursor = feed.settled(connection)
    WARM.forget(None)
    while True:
        began = time.monotonic()
        found, cursor = feed.changes(connection, cursor)
        if found.instances:
            WARM.forget(found.instances)
        WARM.read_at = began
        nudges.wait(POLL_S)
