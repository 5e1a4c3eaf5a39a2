"""Hints to open pages and streams that something of a cloud moved. Lost hints cost a few seconds, never truth."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from functools import lru_cache, partial

import redis
from django.conf import settings
from django.db import transaction
from redis.asyncio import Redis as AsyncRedis

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


async def listen(cloud_id: str, *, every_s: float = 3.0) -> AsyncIterator[None]:
    """Yield when something of the cloud may have moved: at once, at each hint, and at least every `every_s` seconds.

    Whoever looks at the database at each yield misses nothing, with Redis or without. Never raises redis.RedisError.
    """
    while True:
        try:
            async with (
                AsyncRedis.from_url(settings.REDIS_URL, socket_connect_timeout=1) as client,
                client.pubsub() as pubsub,
            ):
                await pubsub.subscribe(channel(cloud_id))
                yield
                while True:
                    # The first message confirms the subscription: the look that follows it sees what came before.
                    await pubsub.get_message(timeout=every_s)
                    while await pubsub.get_message(timeout=0) is not None:
                        pass  # One look answers a burst of hints.
                    yield
        except redis.RedisError as error:
            log.warning("listen_failed cloud=%s error=%s", cloud_id, error)
            yield
            await asyncio.sleep(every_s)
