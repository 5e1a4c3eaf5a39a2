"""GET /healthz: every component, really asked. Answers within a second, also while parts are down."""

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import redis
from django.conf import settings
from django.http import FileResponse, Http404, HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from provider import queues

TIMEOUT_S = 0.8
REMEMBER_S = 1.0  # anybody may ask: however often, the parts are asked once a second
_askers = ThreadPoolExecutor(max_workers=3, thread_name_prefix="healthz")
_lock = threading.Lock()
_last: tuple[float, dict[str, dict[str, str]]] = (0.0, {})

Component = dict[str, str]


def _database() -> dict[str, Component]:
    """A connection of its own: the pool would wait for a free one."""
    with psycopg.connect(settings.DATABASE_URL, connect_timeout=2, options="-c statement_timeout=700") as connection:
        connection.execute("SELECT 1")
    return {"database": {"state": "ok", "detail": ""}}


def _redis() -> dict[str, Component]:
    with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S) as client:
        client.ping()
    return {"redis": {"state": "ok", "detail": ""}}


def _processes() -> dict[str, Component]:
    """What the supervisor of `manage.py up` says of every process. Where there is none (a cluster), what Redis knows of
    those that work in the background."""
    path: Path = settings.FREEHOLD_RUN / "up.sock"
    if not path.exists():
        return _pulses()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(TIMEOUT_S)
        connection.connect(str(path))
        with connection.makefile("rb") as answer:
            found: dict[str, Component] = json.loads(answer.read())
    return found


def _pulses() -> dict[str, Component]:
    """A worker that runs, and takes nothing from its queue, falls silent too."""
    found = queues.asked()
    said = {name: "" if name not in found.silent else _silence(age) for name, age in found.ages.items()}
    return {name: {"state": "failing" if words else "ok", "detail": words} for name, words in said.items()}


def _silence(age_s: float) -> str:
    return "no heartbeat" if age_s == float("inf") else f"last heartbeat {age_s:.0f} s ago"


def components() -> dict[str, Component]:
    asked = {"supervisor": _processes, "redis": _redis, "database": _database}
    futures = {name: _askers.submit(ask) for name, ask in asked.items()}
    deadline = time.monotonic() + TIMEOUT_S
    found: dict[str, Component] = {}
    for name, future in futures.items():
        try:
            found |= future.result(timeout=max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            found[name] = {"state": "failing", "detail": f"no answer in {TIMEOUT_S:g} s"}
        except (OSError, ValueError, psycopg.Error, redis.RedisError) as error:
            found[name] = {"state": "failing", "detail": f"no answer ({type(error).__name__})"}
    return found


def remembered() -> dict[str, Component]:
    global _last
    with _lock:
        asked_at, found = _last
        if time.monotonic() - asked_at > REMEMBER_S or not found:
            found = components()
            _last = (time.monotonic(), found)
        return found


@require_safe
def healthz(_request: HttpRequest) -> JsonResponse:
    found = remembered()
    well = all(component["state"] == "ok" for component in found.values())
    body: dict[str, Any] = {"status": "ok" if well else "degraded", "components": found}
    return JsonResponse(body, status=200 if well else 503, headers={"Cache-Control": "no-store"})


@require_safe
def authority(_request: HttpRequest) -> FileResponse:
    """GET /ca.pem: the internal certificate authority of `manage.py up`, for those who want to trust its https."""
    path: Path = settings.FREEHOLD_HOME / "ca.pem"
    if not path.exists():
        raise Http404
    return FileResponse(
        path.open("rb"), content_type="application/x-pem-file", as_attachment=True, filename="freehold-ca.pem"
    )
