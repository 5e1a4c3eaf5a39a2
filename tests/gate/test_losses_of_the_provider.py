"""The provider stopped, slow, or talking nonsense: what is private stays shut, what runs goes on, and all heals by itself.

docs/operators/outages.md says the same to operators.
"""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.gate.conftest import Gate, wait_until
from tests.gate.tenancy import House, new_house, settle
from tests.gate.wire import Upstream, read_reply, spell

JSON, HTML = ("Accept", "application/json"), ("Accept", "text/html")
UP = b"X-Gate-Upstream: 127.0.0.1:1\r\n"
NONSENSE = {
    "500": b"HTTP/1.1 500 Oops\r\nX-Gate-Decided: 1\r\nContent-Length: 4\r\n\r\noops",
    "a page of somebody else": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "200 in our name": b"HTTP/1.1 200 OK\r\nX-Gate-Decided: 1\r\n" + UP + b"Content-Length: 0\r\n\r\n",
    "a yes without our mark": b"HTTP/1.1 204 Yes\r\n" + UP + b"\r\n",
    "a yes to nowhere": b"HTTP/1.1 204 Yes\r\nX-Gate-Decided: 1\r\n\r\n",
    "not http": b"220 mail.example.org ESMTP\r\n",
    "nothing": b"",
    "half an answer": b"HTTP/1.1 204 Yes\r\nX-Gate-De",
}


@contextmanager
def _somebody_else(port: int, answer: bytes) -> Iterator[None]:
    """In the provider's place: reads a question, says this and hangs up."""
    server = socket.create_server(("127.0.0.1", port))

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


@pytest.fixture
def upstream(upstreams: Callable[[str], Upstream]) -> Upstream:
    return upstreams("main")


@pytest.fixture
def house(gate: Gate, upstream: Upstream) -> House:
    house = new_house()
    house.add("", upstream, ["/open/*"])
    settle(gate, house)
    return house


def _heals(gate: Gate, house: House) -> None:
    """With nobody's help but that the provider is there again."""
    wait_until(lambda: gate.http.ask(house.host, "/open/x", JSON).status == 200, "the provider answers again", 60)
    assert gate.http.ask(house.host, "/p", JSON).status == 401


def test_whatever_answers_in_the_providers_place_lets_nobody_in(gate: Gate, house: House, upstream: Upstream) -> None:
    gate.stop("live")
    for answer in NONSENSE.values():
        with _somebody_else(gate.live_port, answer):
            seen = len(upstream.seen)
            for path in ("/p", "/open/x"):
                reply = gate.http.ask(house.host, path, JSON)
                assert (reply.status, reply.header("cache-control")) == (502, "no-store")
            assert len(upstream.seen) == seen
            assert gate.http.ask(house.host, "/p", house.cookie(), JSON).status == 200
    gate.start("live")
    _heals(gate, house)


def test_a_provider_that_hangs_keeps_out_and_lets_go_on(gate: Gate, house: House, upstream: Upstream) -> None:
    """Held for fifteen seconds at most, side by side; the signed-in are not held at all."""
    live = gate.processes["live"]
    stopped = [live.pid, *_children(live.pid)]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        held = [gate.http.connect() for _ in range(4)]
        for connection, path in zip(held, ("/p", "/open/x", "/p", "/open/y"), strict=True):
            connection.settimeout(60)
            connection.sendall(spell(house.host, path, HTML))
        assert gate.http.ask(house.host, "/p", house.cookie(), JSON).status == 200
        replies = [read_reply(connection) for connection in held]
        assert [(one.status, one.header("retry-after")) for one in replies] == [(502, "3")] * 4
        assert all("cannot check who you are" in one.text for one in replies)
        assert [seen.header("x-freehold-user") for seen in upstream.seen] == [house.owner.id]
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    _heals(gate, house)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
