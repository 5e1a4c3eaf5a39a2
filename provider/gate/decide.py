"""The decision endpoint: what the proxy cannot decide by itself. Raw ASGI, apart from Django's middleware.

It is reached on an inner address, needs the gate's secret, and answers nobody else.
"""

import asyncio
import hmac
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.conf import settings
from django.db import close_old_connections

from provider.gate.asking import Answer, Ask, from_headers
from provider.gate.verdicts import decide, refuse
from provider.gate.warm import WARM, follow

log = logging.getLogger(__name__)

PATH = "/gate/decide"
# A browser gets a page that asks again; a program has nothing to do but wait. Below the 15 s that the proxy waits.
HOLD_BROWSER_S, HOLD_PROGRAM_S, HOLD_STEP_S = 2.0, 8.0, 0.2
_AS_KNOWN = Answer(204, (("x-gate-as-known", "1"),))
_threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="decide")

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]


async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    if not hmac.compare_digest(headers.get("x-gate-secret", "").encode(), settings.GATE_SECRET.encode()):
        await _send(send, Answer(404))
        return
    follow()
    try:
        ask = from_headers(headers)
        public = WARM.is_public(ask)
        # Anyone may have it where it is known to be: upstream and mount are then as the proxy has them.
        answer = await _held(ask) if public is None else _AS_KNOWN if public else refuse(ask)
    except Exception:
        # Whatever goes wrong, the proxy must not take it for a yes.
        log.exception("decision_failed host=%s", headers.get("x-gate-authority", ""))
        answer = Answer(500)
    await _send(send, answer)


async def _held(ask: Ask) -> Answer:
    """The answer, or a better one if it comes within the time that this client can be kept waiting."""
    loop = asyncio.get_running_loop()
    deadline = time.monotonic() + (HOLD_BROWSER_S if ask.wants_page else HOLD_PROGRAM_S)
    while True:
        answer = await loop.run_in_executor(_threads, _in_thread, ask)
        if not answer.hold or time.monotonic() + HOLD_STEP_S > deadline:
            return answer
        await asyncio.sleep(HOLD_STEP_S)


def _in_thread(ask: Ask) -> Answer:
    close_old_connections()
    try:
        return decide(ask)
    finally:
        close_old_connections()


async def _send(send: Send, answer: Answer) -> None:
    body = answer.body.encode()
    headers = [(name.encode("latin-1"), value.encode()) for name, value in answer.headers]
    headers.append((b"x-gate-decided", b"1"))  # so that no other server's answer is taken for one of ours
    if answer.status != 204:
        # Without it the proxy's client waits for the end of the connection.
        headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
