"""What Redis knows of the work in the background: tasks that wait, and when each process last proved that it works.

A worker's proof is a task that beat sends (provider.pulse): one that runs and takes nothing from its queue falls silent.
"""

import time
from dataclasses import dataclass

import redis
from django.conf import settings

QUEUE = "celery"  # where Celery puts tasks that name no queue
PROCESSES = ("worker", "beat", "observer")
SILENT_S = 60.0  # the rarest pulse comes every 10 s
TIMEOUT_S = 0.5


@dataclass(frozen=True)
class Queues:
    """is_up: whether Redis answers. waiting: tasks that no worker has taken. ages: seconds since each of PROCESSES gave a
    sign of life; infinite: none for as long as signs are kept, empty where Redis is away."""

    is_up: bool
    waiting: int
    ages: dict[str, float]

    @property
    def silent(self) -> list[str]:
        return [name for name, age in self.ages.items() if age > SILENT_S]


def asked() -> Queues:
    """As it is now. Never raises: without Redis there is nothing to tell."""
    try:
        with redis.Redis.from_url(
            settings.REDIS_URL, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S
        ) as client:
            told = client.mget([f"freehold:pulse:{name}" for name in PROCESSES])
            waiting = int(client.llen(QUEUE))
    except redis.RedisError:
        return Queues(False, 0, {})
    now = time.time()
    ages = {name: max(0.0, now - float(at)) if at else float("inf") for name, at in zip(PROCESSES, told, strict=True)}
    return Queues(True, waiting, ages)
