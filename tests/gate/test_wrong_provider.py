"""Something else than the provider's word comes back from where it should be: private stays shut, and it heals by itself."""

import json
import signal
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import cache

from tests.gate.conftest import Gate, wait_until
from tests.gate.tenancy import House, new_house, settle
from tests.gate.wire import Upstream

JSON = ("Accept", "application/json")
YES = "x-gate-upstream: {up}\r\nx-gate-user: usrforged\r\nx-gate-role: owner\r\n"
ANSWERS = {
    "an error": "HTTP/1.1 500 No\r\nx-gate-decided: 1\r\ncontent-length: 0\r\n\r\n",
    "an error that looks like a yes": f"HTTP/1.1 500 No\r\nx-gate-decided: 1\r\n{YES}content-length: 0\r\n\r\n",
    "some other server's page": "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\nhi",
    "a yes without the mark": f"HTTP/1.1 204 OK\r\n{YES}\r\n",
    "a yes that leads nowhere": "HTTP/1.1 204 OK\r\nx-gate-decided: 1\r\nx-gate-user: usrforged\r\n\r\n",
    "a yes by the wrong number": f"HTTP/1.1 200 OK\r\nx-gate-decided: 1\r\n{YES}content-length: 0\r\n\r\n",
    "half a line": "HTTP/1.1 20",
    "nothing": "",
    "noise": "\x00\x01\x02 garbage\r\n\r\n",
    "too much": "HTTP/1.1 204 OK\r\n" + "x-filler: y\r\n" * 20_000 + "\r\n",
}


@pytest.fixture
def upstream(upstreams: Callable[[str], Upstream]) -> Upstream:
    return upstreams("main")


@pytest.fixture
def house(gate: Gate, upstream: Upstream) -> House:
    house = new_house()
    house.add("", upstream, [])
    settle(gate, house)
    return house


@contextmanager
def in_its_place(gate: Gate, answer: Callable[[socket.socket], None]) -> Iterator[None]:
    """A server where the live process should be."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            answer(self.request)

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address, daemon_threads = True, True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """The proxy may have gone away."""

    gate.stop("live", signal.SIGKILL)
    server = wait_until(lambda: _bound(Server, gate.live_port, Handler), "the port is free")
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        gate.make_whole()


def _bound(kind: Any, port: int, handler: Any) -> Any:
    try:
        return kind(("127.0.0.1", port), handler)
    except OSError:
        return None


def test_whatever_it_answers_private_stays_shut_and_sessions_go_on(
    gate: Gate, house: House, upstream: Upstream
) -> None:
    said = ""
    with in_its_place(gate, lambda client: client.sendall(said.encode("latin-1"))):
        for name, text in ANSWERS.items():
            said = text.replace("{up}", upstream.address)
            for headers in ((JSON,), (("Accept", "text/html"),), (("X-Space-App-Key", "x"), JSON)):
                assert gate.http.ask(house.host, "/private", *headers).status == 502, name
            assert upstream.seen == [], name
            assert gate.http.ask(house.host, "/mine", house.cookie(), JSON).status == 200, name
            assert upstream.seen.pop().header("x-freehold-user") == house.owner.id
    assert gate.http.ask(house.host, "/private", JSON).status == 401


def test_a_slow_provider_keeps_nobody_who_is_signed_in_waiting(gate: Gate, house: House, upstream: Upstream) -> None:
    release = threading.Event()
    with in_its_place(gate, lambda _: release.wait(30)):
        asking = threading.Thread(target=gate.http.ask, args=(house.host, "/private", JSON))
        asking.start()
        for number in range(20):
            path = f"/mine/{number}"
            assert json.loads(gate.http.ask(house.host, path, house.cookie()).body)["path"] == path
        release.set()
        asking.join(30)
    assert [seen.path for seen in upstream.seen] == [f"/mine/{number}" for number in range(20)]


def test_an_emptied_redis_changes_nothing(gate: Gate, house: House, upstream: Upstream) -> None:
    assert settings.REDIS_URL
    cache.clear()
    assert gate.http.ask(house.host, "/mine", house.cookie(), JSON).status == 200
    assert gate.http.ask(house.host, "/private", JSON).status == 401
    late = new_house()
    late.add("", upstream, [])
    settle(gate, late)
    assert gate.http.ask(late.host, "/mine", late.cookie(), JSON).status == 200
