"""What a cell's processes have taken, read once a minute however many there are. By the observer, of which one leads."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import Error, close_old_connections

from k8s.errors import ClusterError
from tenants import metering
from tenants.metering import Reading
from tenants.models import DataServer
from tenants.reconcile import cluster

log = logging.getLogger(__name__)
EVERY_S = 60.0


def sample() -> None:
    """Raises Temporary when the cluster cannot be asked; what was taken meanwhile is in the next reading."""
    cell = settings.DEFAULT_CELL
    taken = [
        Reading(f"{cell}/{each.source}", each.owner, cpu_us=each.cpu_us, memory_bytes=each.memory_bytes)
        for each in cluster.current().samples()
    ]
    servers = DataServer.objects.filter(used_bytes__gt=0, cloud__cell_id=cell).values_list("pk", "used_bytes")
    stored = [Reading(f"stored/{pk}", pk, storage_bytes=used) for pk, used in servers.iterator()]
    metering.record([*taken, *stored])


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
    while not over.wait(every_s):
        close_old_connections()
        try:
            sample()
        except (ClusterError, Error) as error:
            log.warning("not_measured why=%s", error)
    close_old_connections()
