"""One reconciliation of a thing at a time, over all processes. Locks of a session: they end with its connection."""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import Error, connection

from tenants import logs

WAIT_S = 5.0
_POLL_S = 0.02
_NAMED = {"transfer": "operation", "data": "data_server"}  # what logs call what a lock is named after


@contextmanager
def held(name: str, wait_s: float = WAIT_S) -> Iterator[bool]:
    """True inside while nobody else holds `name`; False if somebody did for `wait_s` (whoever comes later sees to it).

    Not a transaction, so that what is written in between is visible at once and no row stays locked during calls
    to the cluster. Lines of the log say meanwhile what it is about.
    """
    kind, _, its_id = name.partition(":")
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
    mine = _take(key, wait_s)
    try:
        with logs.about(**{_NAMED.get(kind, kind): its_id}):
            yield mine
    finally:
        if mine:
            _give_back(key)


def _take(key: int, wait_s: float) -> bool:
    deadline = time.monotonic() + wait_s
    while True:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [key])
            if cursor.fetchone() == (True,):
                return True
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)


def _give_back(key: int) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [key])
    except Error:
        # The connection is gone, and the lock with it.
        connection.close()
