"""A run's request, through the gate's inner listener: it knows where the instance is, and holds what comes while one wakes.

The gate marks its own answers (provider/gate/actions.cfg.template), so that they are not taken for the app's, and passes
no run on twice while it lives: so whoever takes over from a worker that died may ask it to.
"""

import json
import socket
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException, HTTPResponse, RemoteDisconnected
from urllib.parse import quote

from django.conf import settings

from tenants.action_token import action_token
from tenants.models import RunResult
from tenants.reconcile.actions import ANSWER_LIMIT, LOST, Delivery, Outcome

PATH = "/__space/v0/actions"
LIMIT_S = 20.0  # what an app has for one run, as on the former platform
HELD_S = 20.0  # how long the gate holds it for an app that is coming; the same in actions.lua
GREETING_S = 5.0
BODY_LIMIT = 6_000_000
UNIX = "unix:"
TRIES = 8  # to meet the gate of a cell that had it before
_SILENT = "The app ended the connection without an answer."
_SLOW = f"It took longer than {LIMIT_S:.0f} seconds."


class Undelivered(Exception):
    """By this call it has certainly not reached the app: is_absent, because that is not there yet; else by our own fault."""

    def __init__(self, why: str, *, is_absent: bool = False) -> None:
        super().__init__(why)
        self.is_absent = is_absent


def deliver(delivery: Delivery, leave: Callable[[str], bool]) -> Outcome | None:
    """Send it and wait for the end of the answer. None, and nothing was sent, where `leave` says no.

    leave: called with the gate's name when it has all of the request but the last byte, before which it does nothing
    (`option http-buffer-request`). Raises Undelivered where it may be sent later, and what `leave` raises.
    """
    started, has_left = time.monotonic(), False
    connection = _connected(delivery)
    try:
        gate = _greeted(connection)
        if delivery.sent_via and gate != delivery.sent_via:
            return Outcome(RunResult.LOST, error=LOST)
        body = _begin(connection, delivery)
        if not leave(gate):
            return None
        has_left = True
        connection.send(body[-1:])
        return _outcome(connection.getresponse(), started)
    except (OSError, HTTPException) as error:
        if not has_left:
            raise Undelivered(f"the gate does not answer: {error!r}") from error
        if isinstance(error, TimeoutError):
            return Outcome(RunResult.FAILED, error=_SLOW, duration_ms=_ms(started))
        if isinstance(error, RemoteDisconnected):  # the gate's way to say so on a connection that was greeted before
            return Outcome(RunResult.FAILED, error=_SILENT, duration_ms=_ms(started))
        why = f"The connection broke before an answer came ({type(error).__name__})."
        return Outcome(RunResult.LOST, error=why, duration_ms=_ms(started))
    finally:
        connection.close()


def _connected(delivery: Delivery) -> HTTPConnection:
    """To whichever gate of the cell comes first; one that was sent already, to the gate that had it, if that is found."""
    address = settings.ACTIONS_ADDR
    if delivery.cell != settings.DEFAULT_CELL:
        address = settings.OTHER_ACTIONS_ADDRS.get(delivery.cell, "")
    if not address:
        raise Undelivered(f"FREEHOLD_OTHER_ACTIONS_ADDRS names no gate of the cell {delivery.cell}")
    for left in reversed(range(TRIES if delivery.sent_via else 1)):
        connection = _Connection(address)
        try:
            if not left or _greeted(connection) == delivery.sent_via:
                return connection
        except (OSError, HTTPException):
            pass
        connection.close()
    raise AssertionError("unreachable")


class _Connection(HTTPConnection):
    """address: "unix:PATH" or "host:port"."""

    def __init__(self, address: str) -> None:
        self.path = address.removeprefix(UNIX) if address.startswith(UNIX) else ""
        super().__init__("gate" if self.path else address, timeout=GREETING_S)

    def connect(self) -> None:
        if not self.path:
            super().connect()
            return
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(GREETING_S)
        self.sock.connect(self.path)


def _greeted(connection: HTTPConnection) -> str:
    """The gate's name: another one after each start."""
    connection.request("GET", "/", headers={"X-Freehold-Actions": action_token(settings.GATE_SECRET)})
    answer = connection.getresponse()
    answer.read()
    name = answer.headers.get("X-Freehold-Gate-Name", "")
    if not name:
        raise Undelivered(f"the gate answers {answer.status} to its own")
    return name


def _begin(connection: HTTPConnection, delivery: Delivery) -> bytes:
    """What the former platform sent, but for its last byte. `X-Freehold-Run` tells an app that asks which run it is."""
    event = {"event": {"id": delivery.key, "trigger": "schedule"}}
    body = json.dumps(event, separators=(",", ":")).encode()
    path = PATH if not delivery.path else "/" + quote(delivery.path.lstrip("/"), safe="/~")
    connection.putrequest("POST", path, skip_host=True, skip_accept_encoding=True)
    for name, value in (
        ("Host", delivery.host),
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("User-Agent", "Freehold"),
        ("X-Freehold-Run", delivery.run_id),
        ("X-Freehold-Mount", delivery.mount),
        ("X-Freehold-Actions", action_token(settings.GATE_SECRET)),
    ):
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(body[:-1])
    connection.sock.settimeout(HELD_S + LIMIT_S + 5.0)
    return body


def _outcome(answer: HTTPResponse, started: float) -> Outcome:
    if word := answer.headers.get("X-Freehold-Gate"):
        return _of_the_gate(word, started)
    kept, size = b"", 0
    while part := answer.read1(65_536):
        size += len(part)
        kept += part[: max(0, 4 * ANSWER_LIMIT - len(kept))]
        if size > BODY_LIMIT:
            break
        if time.monotonic() - started > HELD_S + LIMIT_S:
            text = kept.decode(errors="replace")
            return Outcome(RunResult.FAILED, answer.status, text, _SLOW, _ms(started))
    is_good = 200 <= answer.status < 300
    error = "" if is_good else f"It answered {answer.status}."
    result = RunResult.SUCCEEDED if is_good else RunResult.FAILED
    return Outcome(result, answer.status, kept.decode(errors="replace"), error, _ms(started))


def _of_the_gate(word: str, started: float) -> Outcome:
    if word in ("starting", "unknown", "refused"):
        raise Undelivered(f"the gate says: {word}")
    if word == "absent":
        raise Undelivered("the app is not there yet", is_absent=True)
    if word == "passed":
        return Outcome(RunResult.LOST, error=LOST, duration_ms=_ms(started))
    said = {
        "unreachable": "The app did not accept the connection.",
        "silent": _SILENT,
        "slow": _SLOW,
    }
    return Outcome(RunResult.FAILED, error=said.get(word, "The app gave no proper answer."), duration_ms=_ms(started))


def _ms(started: float) -> int:
    return int((time.monotonic() - started) * 1000)
