"""The gate's plain questions are answered where they are read, in the order in which they came, and nothing else is."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from django.conf import settings

from provider.gate import decide
from provider.gate.answering import AnsweringProtocol
from provider.gate.warm import Warm

HOST = "notes-abc.apps.localhost"


@dataclass
class Usual:
    """What answers all the rest."""

    port: int = 0
    asked: list[str] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.append(scope["path"])
        await asyncio.sleep(0.1)
        while (await receive()).get("more_body"):
            pass
        headers = [(b"content-length", b"5")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"usual"})


@pytest.fixture
def usual(monkeypatch: pytest.MonkeyPatch) -> Iterator[Usual]:
    warm = Warm(routes={HOST: {"": ("/open",)}}, read_at=time.monotonic() + 3600)
    monkeypatch.setattr(decide, "WARM", warm)
    app = Usual()
    config = uvicorn.Config(app, http=AnsweringProtocol, ws="none", lifespan="off", log_config=None)  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        app.port = listening.getsockname()[1]
        thread = threading.Thread(target=lambda: server.run([listening]), daemon=True)
        thread.start()
        yield app
        server.should_exit = True
        thread.join(10)


def question(path: str, *more: str, secret: str | None = None) -> bytes:
    lines = (
        "GET /gate/decide HTTP/1.1",
        "Host: live",
        f"X-Gate-Secret: {settings.GATE_SECRET if secret is None else secret}",
        "X-Gate-Scheme: http",
        f"X-Gate-Authority: {HOST}:8000",
        "X-Gate-Method: GET",
        f"X-Gate-Path: {path}",
        "X-Gate-Awake: 1",
        "Accept: application/json",
        *more,
    )
    return "\r\n".join((*lines, "", "")).encode()


def said(usual: Usual, sent: bytes, answers: int) -> bytes:
    """Everything until so many answers have come."""
    found = b""
    with socket.create_connection(("127.0.0.1", usual.port), 10) as link:
        link.sendall(sent)
        while found.count(b"HTTP/1.1 ") < answers or not found.endswith((b"usual", b"]}", b"\r\n\r\n")):
            chunk = link.recv(65536)
            if not chunk:
                break
            found += chunk
    return found


def test_what_is_known_is_answered_without_asking_anybody(usual: Usual) -> None:
    found = said(usual, question("/"), 1)
    assert found.startswith(b"HTTP/1.1 401 ")
    assert b"x-gate-decided: 1\r\n" in found
    assert said(usual, question("/open"), 1).startswith(b"HTTP/1.1 204 ")
    assert usual.asked == []


@pytest.mark.parametrize(
    "other",
    [
        question("/", secret="guessed"),
        question("/", "X-Gate-Program: 1"),
        question("/").replace(HOST.encode(), b"unheard-of.apps.localhost"),
        question("/").replace(b"X-Gate-Path", b"X-Gate-Other"),
        question("/").replace(b"/gate/decide", b"/gate/decide?x"),
        question("/").replace(b"/gate/decide", b"/events/"),
    ],
)
def test_all_else_goes_the_usual_way(usual: Usual, other: bytes) -> None:
    assert said(usual, other, 1).endswith(b"usual")
    assert len(usual.asked) == 1


def test_answers_come_in_the_order_of_the_questions(usual: Usual) -> None:
    other = question("/").replace(b"/gate/decide", b"/events/")
    found = said(usual, question("/") + other + question("/") + question("/open"), 4)
    assert [part[:3] for part in found.split(b"HTTP/1.1 ")[1:]] == [b"401", b"200", b"200", b"200"]
    assert usual.asked == ["/events/", "/gate/decide", "/gate/decide"]  # those behind it waited for it


def test_a_body_is_not_taken_for_the_next_request(usual: Usual) -> None:
    body = question("/open")
    found = said(usual, question("/", f"Content-Length: {len(body)}") + body + question("/"), 2)
    assert [part[:3] for part in found.split(b"HTTP/1.1 ")[1:]] == [b"401", b"401"]


def test_who_wants_the_connection_closed_gets_it_closed(usual: Usual) -> None:
    with socket.create_connection(("127.0.0.1", usual.port), 10) as link:
        link.sendall(question("/", "Connection: close"))
        found = b""
        while chunk := link.recv(65536):
            found += chunk
    assert found.endswith(b"usual")
