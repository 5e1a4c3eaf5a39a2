"""Proof that the worker and beat do their work: each writes the time (epoch seconds) into a Redis key of its own.

The worker's pulse is a task that beat sends, so it proves the way through the broker as well.
provider.up asks for both keys.
"""

import time
from typing import Any

import redis
from celery import shared_task
from celery.signals import beat_init, before_task_publish, worker_ready
from django.conf import settings

EXPIRES_S = 120
TASK = "provider.pulse.worker_pulse"


def _write(process: str) -> None:
    with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2) as client:
        client.set(f"freehold:pulse:{process}", f"{time.time():.3f}", ex=EXPIRES_S)


@shared_task(name=TASK)
def worker_pulse() -> None:
    _write("worker")


@worker_ready.connect
def _worker_is_ready(**_: Any) -> None:
    _write("worker")


@beat_init.connect
def _beat_is_ready(**_: Any) -> None:
    _write("beat")


@before_task_publish.connect
def _beat_sends(sender: str | None = None, **_: Any) -> None:
    if sender == TASK:  # sent by beat alone
        _write("beat")
