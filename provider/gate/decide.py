"""The decision endpoint: what the proxy cannot decide by itself. Raw ASGI, apart from Django's middleware. Beside it, waking
a data server, for which the proxy has decided by itself that whoever asks may use it.

It is reached on an inner address, needs the gate's secret, and answers nobody else.
"""

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from django.conf import settings
from django.db import close_old_connections

from provider.gate.asking import Answer, Ask, from_headers
from provider.gate.verdicts import decide, refuse
from provider.gate.warm import WARM, follow
from tenants.services import data_sleep

log = logging.getLogger(__name__)

PATH, ROUSE_PATH = "/gate/decide", "/gate/rouse"
PATHS = (PATH, ROUSE_PATH)
_AS_KNOWN = Answer(204, (("x-gate-as-known", "1"),))
_threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="decide")

Scope = dict[str, Any]
Fields = Iterable[tuple[bytes, bytes]]
T = TypeVar("T")
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]


def at_once(fields: Fields) -> Answer | None:
    """The answer to a question for which nobody needs to be asked; None for any other. fields: the request's headers."""
    headers = _from_gate(fields)
    if headers is None:
        return None
    try:
        return _known(from_headers(headers))
    except Exception:  # `endpoint` is asked the same, and says what is wrong
        return None


async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
    headers = _from_gate(scope["headers"])
    if headers is None:
        await _send(send, Answer(404))
        return
    follow()
    try:
        if scope["path"] == ROUSE_PATH:
            answer = await _in_thread(_rouse, headers["x-gate-project"])
        else:
            ask = from_headers(headers)
            answer = _known(ask) or await _in_thread(_decide, ask)
    except Exception:
        # Whatever goes wrong, the proxy must not take it for a yes.
        log.exception("decision_failed host=%s", headers.get("x-gate-authority", ""))
        answer = Answer(500)
    await _send(send, answer)


def _from_gate(fields: Fields) -> dict[str, str] | None:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in fields}
    secret = headers.get("x-gate-secret", "").encode()
    return headers if hmac.compare_digest(secret, settings.GATE_SECRET.encode()) else None


def _known(ask: Ask) -> Answer | None:
    public = WARM.is_public(ask)
    if public is None:
        return None
    # Anyone may have it, or only those whom the sign-in will tell: upstream and mount are as the proxy has them.
    return _AS_KNOWN if public else refuse(ask)


async def _in_thread(answer: Callable[[T], Answer], asked: T) -> Answer:
    return await asyncio.get_running_loop().run_in_executor(_threads, answer, asked)


def _decide(ask: Ask) -> Answer:
    with _own_connection():
        return decide(ask)


def _rouse(project: str) -> Answer:
    with _own_connection():
        data_sleep.rouse_for(project)
    return Answer(204)


@contextmanager
def _own_connection() -> Iterator[None]:
    """Of this thread; kept, unless it is broken or too old."""
    close_old_connections()
    try:
        yield
    finally:
        close_old_connections()


def encoded(answer: Answer) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Headers and body."""
    body = answer.body.encode()
    headers = [(name.encode("latin-1"), value.encode()) for name, value in answer.headers]
    headers.append((b"x-gate-decided", b"1"))  # so that no other server's answer is taken for one of ours
    if answer.hold_ms:
        headers.append((b"x-gate-hold", str(answer.hold_ms).encode()))
    if answer.status != 204:
        # Without it the proxy's client waits for the end of the connection.
        headers.append((b"content-length", str(len(body)).encode()))
    return headers, body


async def _send(send: Send, answer: Answer) -> None:
    headers, body = encoded(answer)
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
