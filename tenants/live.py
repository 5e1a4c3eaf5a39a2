"""Hints to open pages and streams that something of a cloud moved. Lost hints cost a few seconds, never truth."""

import json
import logging
from functools import lru_cache, partial

import redis
from django.conf import settings
from django.db import transaction

log = logging.getLogger(__name__)


def channel(cloud_id: str) -> str:
    return f"cloud:{cloud_id}"


@lru_cache(maxsize=1)
def _client() -> "redis.Redis":
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1)


def announce(cloud_id: str, subject: str) -> None:
    """After commit, tell listeners of the cloud's channel that `subject` (an id) changed. Never raises."""
    transaction.on_commit(partial(_publish, cloud_id, subject))


def _publish(cloud_id: str, subject: str) -> None:
    try:
        _client().publish(channel(cloud_id), json.dumps({"subject": subject}))
    except redis.RedisError as error:
        # Streams look at the database every few seconds as well.
        log.warning("announce_failed cloud=%s subject=%s error=%s", cloud_id, subject, error)
