"""A run's request, through the gate's inner listener: it knows where the instance is, and holds what comes while one wakes.

The gate marks its own answers (provider/gate/actions.cfg.template), so that they are not taken for the app's.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import lru_cache
from urllib.parse import quote

import httpx
from django.conf import settings

from tenants.action_token import action_token
from tenants.models import RunResult
from tenants.reconcile.actions import ANSWER_LIMIT, Delivery, Outcome

PATH = "/__space/v0/actions"
LIMIT_S = 20.0  # what an app has for one run, as on the former platform
HELD_S = 20.0  # how long the gate holds it for an app that is coming; the same in actions.lua
BODY_LIMIT = 6_000_000
UNIX = "unix:"
_SLOW = f"It took longer than {LIMIT_S:.0f} seconds."


class Undelivered(Exception):
    """It has certainly not reached the app. is_absent: because the app is not there yet; else the provider is at fault."""

    def __init__(self, why: str, *, is_absent: bool = False) -> None:
        super().__init__(why)
        self.is_absent = is_absent


def deliver(delivery: Delivery, leave: Callable[[], bool]) -> Outcome | None:
    """Send it and wait for the end of the answer. None, and nothing was sent, where `leave` says no.

    leave: called when all but the last byte of the request is at the gate, which passes nothing on before it has that
    (`option http-buffer-request`). Whoever dies before has not reached the app, whoever dies after has: nearly no time
    lies between. Raises Undelivered where it is not too late to send it again; what `leave` raises.
    """
    started = time.monotonic()
    departure = _Departure(json.dumps(_event(delivery), separators=(",", ":")).encode(), leave)
    try:
        with _sending(_client(_address(delivery.cell)), delivery, departure) as answer:
            return _outcome(answer, started)
    except _Stayed:
        return None
    except httpx.HTTPError as error:
        if not departure.is_over:
            raise Undelivered(f"the gate does not answer: {error}") from error
        if isinstance(error, httpx.TimeoutException):
            return Outcome(RunResult.FAILED, error=_SLOW, duration_ms=_ms(started))
        why = f"The connection broke before an answer came ({type(error).__name__})."
        return Outcome(RunResult.LOST, error=why, duration_ms=_ms(started))


class _Stayed(Exception):
    """It may not leave: somebody else has sent it."""


class _Departure:
    """A request's body, of which the last byte leaves only by permission."""

    def __init__(self, body: bytes, leave: Callable[[], bool]) -> None:
        self.body, self._leave, self.is_over = body, leave, False

    def __iter__(self) -> Iterator[bytes]:
        yield self.body[:-1]
        if not self._leave():
            raise _Stayed
        self.is_over = True
        yield self.body[-1:]


def _event(delivery: Delivery) -> dict[str, object]:
    return {"event": {"id": delivery.key, "trigger": "schedule"}}


def _address(cell: str) -> str:
    address = settings.ACTIONS_ADDR if cell == settings.DEFAULT_CELL else settings.OTHER_ACTIONS_ADDRS.get(cell)
    if not address:
        raise Undelivered(f"FREEHOLD_OTHER_ACTIONS_ADDRS names no gate of the cell {cell}")
    return address


@lru_cache
def _client(address: str) -> httpx.Client:
    """One for all threads, since making one costs more than a request. No connection is kept: over one that the gate is
    about to close nobody could tell what became of a request. No proxies of the environment: the gate is nearer."""
    uds = address.removeprefix(UNIX) if address.startswith(UNIX) else None
    transport = httpx.HTTPTransport(uds=uds, limits=httpx.Limits(max_keepalive_connections=0), trust_env=False)
    timeout = httpx.Timeout(5.0, read=HELD_S + LIMIT_S + 5.0, pool=None)
    return httpx.Client(base_url="http://gate" if uds else f"http://{address}", transport=transport, timeout=timeout)


def _sending(client: httpx.Client, delivery: Delivery, departure: _Departure) -> AbstractContextManager[httpx.Response]:
    """What the former platform sent; `X-Freehold-Run` tells an app that asks which run it is."""
    path = PATH if not delivery.path else "/" + quote(delivery.path.lstrip("/"), safe="/~")
    headers = {
        "Host": delivery.host,
        "Content-Type": "application/json",
        "User-Agent": "Freehold",
        "X-Freehold-Run": delivery.run_id,
        "X-Freehold-Mount": delivery.mount,
        "X-Freehold-Actions": action_token(settings.GATE_SECRET),
    }
    headers["Content-Length"] = str(len(departure.body))
    return client.stream("POST", path, headers=headers, content=departure)


def _outcome(answer: httpx.Response, started: float) -> Outcome:
    if word := answer.headers.get("x-freehold-gate"):
        return _of_the_gate(word, answer, started)
    kept = b""
    size = 0
    for part in answer.iter_bytes():
        size += len(part)
        kept += part[: max(0, 4 * ANSWER_LIMIT - len(kept))]
        if size > BODY_LIMIT:
            break
        if time.monotonic() - started > HELD_S + LIMIT_S:
            text = kept.decode(errors="replace")
            return Outcome(RunResult.FAILED, answer.status_code, text, _SLOW, _ms(started))
    result = RunResult.SUCCEEDED if answer.is_success else RunResult.FAILED
    error = "" if answer.is_success else f"It answered {answer.status_code}."
    return Outcome(result, answer.status_code, kept.decode(errors="replace"), error, _ms(started))


def _of_the_gate(word: str, answer: httpx.Response, started: float) -> Outcome:
    if word in ("starting", "unknown", "refused"):
        raise Undelivered(f"the gate says: {word}")
    if word == "absent":
        raise Undelivered("the app is not there yet", is_absent=True)
    said = {
        "unreachable": "The app did not accept the connection.",
        "silent": "The app ended the connection without an answer.",
        "slow": _SLOW,
    }
    return Outcome(RunResult.FAILED, error=said.get(word, "The app gave no proper answer."), duration_ms=_ms(started))


def _ms(started: float) -> int:
    return int((time.monotonic() - started) * 1000)
