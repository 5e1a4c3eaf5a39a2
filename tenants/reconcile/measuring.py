"""What a cell's processes have taken, read once a minute however many there are. By the observer, of which one leads."""

import logging
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db import Error, close_old_connections
from django.utils import timezone

from k8s.errors import ClusterError
from tenants import metering
from tenants.metering import Reading
from tenants.models import DataServer
from tenants.reconcile import cluster

log = logging.getLogger(__name__)
EVERY_S = 60.0
# Of what has hardly changed a row is written this rarely. What it took meanwhile is in the next one.
SELDOM = timedelta(minutes=5)
LITTLE_CPU_US = 100_000
LITTLE_OF_BYTES = 0.1


@dataclass(frozen=True, slots=True)
class _Written:
    """until: then it is written again, however little it has changed."""

    reading: Reading
    at: datetime
    until: datetime


@dataclass
class Sampler:
    """Remembers what it has written. One that begins anew writes everything, and nothing is lost or doubled by that.

    seen: all that was there at the last look, seen_at.
    """

    written: dict[str, _Written] = field(default_factory=dict)
    seen: dict[str, Reading] = field(default_factory=dict)
    seen_at: datetime | None = None

    def sample(self) -> None:
        """Raises Temporary when the cluster cannot be asked; what was taken meanwhile is in the next reading."""
        at = timezone.now()
        now = {reading.source: reading for reading in _readings()}
        ended = [last for source, last in self.seen.items() if source not in now]
        news = [reading for reading in now.values() if self._is_due(reading, at)]
        if self.seen_at is not None:
            # What has held so much until the last look did not hold what it holds now all that time.
            before = [self.seen[reading.source] for reading in news if self._has_jumped(reading)]
            metering.record([last for last in (*ended, *before) if self._is_behind(last)], self.seen_at)
        metering.record(news, at)
        self.written |= {reading.source: _Written(reading, at, at + _pause(reading.source)) for reading in news}
        for last in ended:
            del self.written[last.source]
        self.seen, self.seen_at = now, at

    def _is_due(self, reading: Reading, at: datetime) -> bool:
        known = self.written.get(reading.source)
        if known is None or at > known.until:
            return True
        return not 0 <= reading.cpu_us - known.reading.cpu_us <= LITTLE_CPU_US or self._has_jumped(reading)

    def _has_jumped(self, reading: Reading) -> bool:
        known = self.written.get(reading.source)
        if known is None:
            return False
        memory, stored = known.reading.memory_bytes, known.reading.storage_bytes
        far = abs(reading.memory_bytes - memory) > memory * LITTLE_OF_BYTES
        return far or abs(reading.storage_bytes - stored) > stored * LITTLE_OF_BYTES

    def _is_behind(self, last: Reading) -> bool:
        return self.seen_at is not None and self.written[last.source].at < self.seen_at


def _pause(source: str) -> timedelta:
    """Each has its own, so that not all of them come in the same minute."""
    return SELDOM * (0.6 + 0.4 * (zlib.crc32(source.encode()) % 64) / 64)


def _readings() -> Iterator[Reading]:
    cell = settings.DEFAULT_CELL
    for each in cluster.current().samples():
        yield Reading(f"{cell}/{each.source}", each.owner, cpu_us=each.cpu_us, memory_bytes=each.memory_bytes)
    servers = DataServer.objects.filter(used_bytes__gt=0, cloud__cell_id=cell).values_list("pk", "used_bytes")
    for pk, used in servers.iterator():
        yield Reading(f"stored/{pk}", pk, storage_bytes=used)


@contextmanager
def going_on(every_s: float = EVERY_S) -> Iterator[None]:
    """Sample from time to time, in a thread with a database connection of its own, until the block ends."""
    over = threading.Event()
    thread = threading.Thread(target=_go_on, args=(over, every_s), name="measuring", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()


def _go_on(over: threading.Event, every_s: float) -> None:
    sampler = Sampler()
    while not over.wait(every_s):
        close_old_connections()
        try:
            sampler.sample()
        except (ClusterError, Error) as error:
            log.warning("not_measured why=%s", error)
    close_old_connections()
