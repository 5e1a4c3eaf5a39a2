"""A worker that is there and takes nothing from its queue is noticed: by /healthz, metrics and the operators' desk."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
import redis
from django.conf import settings
from django.test import Client

from provider import healthz, metrics, pulse, queues
from provider.celery import app
from provider.up.child import SOURCE
from tests.pages.conftest import Person, operator, person
from tests.up.running import until

__all__ = ["operator", "person"]
QUEUE = "heartbeat-test"


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    """A real one, which takes tasks from a queue of its own."""
    monkeypatch.setattr(queues, "SILENT_S", 4.0)
    monkeypatch.setattr(queues, "QUEUE", QUEUE)
    monkeypatch.setattr(healthz, "REMEMBER_S", -1.0)
    monkeypatch.setattr(metrics, "REMEMBER_S", -1.0)
    command = ("-m", "celery", "-A", "provider.celery", "worker", "-P", "solo", "-Q", QUEUE, "-l", "WARNING")
    process = subprocess.Popen((sys.executable, *command), cwd=SOURCE, env=dict(os.environ))
    yield process
    process.send_signal(signal.SIGCONT)
    process.kill()
    process.wait(30)
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.delete(QUEUE, *(f"freehold:pulse:{name}" for name in queues.PROCESSES))


def beat() -> None:
    """As the schedule does every ten seconds; the other processes are well."""
    app.send_task(pulse.TASK, queue=QUEUE, expires=60)
    for process in ("beat", "observer"):
        pulse._write(process)


def is_silent() -> bool:
    beat()
    return "worker" in queues.asked().silent


def is_well() -> bool:
    beat()
    return "worker" not in queues.asked().silent


def silent_on_the_desk(operator: Person) -> set[str]:
    beat()
    said = re.search(r"No sign of life for more than a minute: ([a-z, ]*)\.", operator.browser.get("/operator/").text)
    return set(said[1].split(", ")) if said else set()


def age_by_metrics() -> float:
    (found,) = [metric for metric in metrics._of_redis() if metric.name == "freehold_pulse_age_seconds"]
    return next(float(sample.value) for sample in found.samples if sample.labels == {"process": "worker"})


def test_a_worker_that_stopped_consuming_is_noticed_and_its_return_too(
    worker: subprocess.Popen[bytes], operator: Person
) -> None:
    console = Client(headers={"host": "testserver"})
    until(is_well, "the worker beats", 90)
    assert console.get("/healthz").json()["components"]["worker"]["state"] == "ok"
    assert "worker" not in silent_on_the_desk(operator)
    worker.send_signal(signal.SIGSTOP)
    assert worker.poll() is None
    until(is_silent, "the worker is silent", 90)
    said = console.get("/healthz")
    assert (said.status_code, said.json()["components"]["worker"]["state"]) == (503, "failing")
    assert "last heartbeat" in said.json()["components"]["worker"]["detail"]
    assert age_by_metrics() > 4
    assert queues.asked().waiting > 0
    assert "worker" in silent_on_the_desk(operator)
    worker.send_signal(signal.SIGCONT)
    until(is_well, "the worker is back", 90)
    assert console.get("/healthz").json()["components"]["worker"]["state"] == "ok"
