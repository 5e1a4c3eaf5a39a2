"""Proof that the worker and beat do their work: each writes the time (epoch seconds) into a Redis key of its own.

The worker's pulse is a task that beat sends, so it proves the way through the broker as well.
provider.up asks for both keys.

In a cluster each pod is asked for itself: every process also touches a file of its own, `FREEHOLD_RUN/NAME.pulse`. A worker
does while it hears the broker, beat when it sends, the observer while it watches or waits to take over.
"""

import contextlib
import time
from typing import Any

import redis
from celery import shared_task
from celery.signals import beat_init, before_task_publish, heartbeat_sent, worker_ready
from django.conf import settings

EXPIRES_S = 120
TASK = "provider.pulse.worker_pulse"


def touch(process: str) -> None:
    """No place to write to is no reason to stop working."""
    with contextlib.suppress(OSError):
        (settings.FREEHOLD_RUN / f"{process}.pulse").touch()


def _write(process: str) -> None:
    touch(process)
    with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2) as client:
        client.set(f"freehold:pulse:{process}", f"{time.time():.3f}", ex=EXPIRES_S)


@shared_task(name=TASK)
def worker_pulse() -> None:
    _write("worker")


@worker_ready.connect
def _worker_is_ready(**_: Any) -> None:
    _write("worker")


@heartbeat_sent.connect
def _worker_hears_the_broker(**_: Any) -> None:
    touch("worker")


@beat_init.connect
def _beat_is_ready(**_: Any) -> None:
    _write("beat")


@before_task_publish.connect
def _beat_sends(sender: str | None = None, **_: Any) -> None:
    if sender == TASK:  # sent by beat alone
        _write("beat")
