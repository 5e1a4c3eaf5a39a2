"""A word over Redis that something in the gate's change feed is new. Imports no Django."""

import time

import redis
from redis.client import PubSub

CHANNEL = "gate"


class Nudges:
    """Waits for a word that something changed. Without Redis it only waits: polling finds the change as well."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._subscription: PubSub | None = None

    def wait(self, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        try:
            heard = self._listen(timeout_s)
            while heard and self._listen(0.0):
                pass  # one reading serves all that are waiting
        except (redis.RedisError, OSError):
            self._subscription = None
            time.sleep(max(0.0, deadline - time.monotonic()))

    def _listen(self, timeout_s: float) -> bool:
        if self._subscription is None:
            client = redis.Redis.from_url(self._url, socket_connect_timeout=1)
            self._subscription = client.pubsub(  # type: ignore[no-untyped-call]
                ignore_subscribe_messages=True
            )
            self._subscription.subscribe(CHANNEL)
        return self._subscription.get_message(timeout=timeout_s) is not None
