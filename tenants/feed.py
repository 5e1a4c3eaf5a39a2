"""What the gate's agents must read again: rows in their change feed, and a nudge so that they look at once."""

import logging
from functools import lru_cache, partial

import redis
from django.conf import settings
from django.db import transaction

from tenants.models import GateChange, GateChangeKind

log = logging.getLogger(__name__)
CHANNEL = "gate"


@lru_cache(maxsize=1)
def _client() -> "redis.Redis":
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1)


def changed(instance_id: str) -> None:
    """The instance's host, state or upstreams changed. Call in the transaction that changed them."""
    _write(GateChangeKind.INSTANCE, instance_id)


def revoked(sid: str) -> None:
    """A console session ended; cookies that name it must stop counting."""
    _write(GateChangeKind.REVOKED, sid)


def data_changed(cloud_id: str) -> None:
    """The cloud's collections, their keys or its data server changed. Call in the transaction that changed them."""
    _write(GateChangeKind.DATA, cloud_id)


def _write(kind: GateChangeKind, key: str) -> None:
    GateChange.objects.create(kind=kind, key=key)
    transaction.on_commit(partial(_nudge, key))


def _nudge(key: str) -> None:
    try:
        _client().publish(CHANNEL, key)
    except redis.RedisError as error:
        # Agents read the feed every second anyway.
        log.warning("gate_nudge_failed key=%s error=%s", key, error)
