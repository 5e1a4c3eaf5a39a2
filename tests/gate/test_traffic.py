"""What flows through the gate flows at the pace of its ends, in both directions, and costs the gate no memory."""

import hashlib
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from tests.gate.conftest import Gate, wait_until
from tests.gate.tenancy import House, new_house, settle
from tests.gate.wire import TIMEOUT_S, Upstream, read_reply, spell

MEGABYTE = 1024 * 1024
# Kernel buffers between three parties hold a few megabytes; this is far more.
LARGE = 96 * MEGABYTE
MAY_GROW_KB = 8 * 1024
HALF_AN_HEAD = b"GET / HTTP/1.1\r\nHost: "


@dataclass
class App:
    """Serves one connection at a time, byte by byte, as `serve` does."""

    serve: Callable[[socket.socket, bytes], None]
    heads: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._run, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.socket.getsockname()[1]}"

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(60)
                head = b""
                while b"\r\n\r\n" not in head:
                    head += (more := connection.recv(1))
                    if not more:
                        break
                else:
                    self.heads.append(head)
                    self.serve(connection, head)


@pytest.fixture
def app(gate: Gate) -> Iterator[Callable[[Callable[[socket.socket, bytes], None]], tuple[App, House]]]:
    made: list[App] = []

    def make(serve: Callable[[socket.socket, bytes], None]) -> tuple[App, House]:
        made.append(App(serve))
        house = new_house()
        house.add("", made[-1], [])  # type: ignore[arg-type]
        settle(gate, house)
        return made[-1], house

    yield make
    for one in made:
        one.socket.close()


@dataclass
class Pouring:
    """Sends as much as the other end takes."""

    connection: socket.socket
    data: bytes
    sent: int = 0

    def pour(self) -> None:
        view = memoryview(self.data)
        while self.sent < len(view):
            self.sent += self.connection.send(view[self.sent : self.sent + 65536])

    def is_stuck(self) -> bool:
        before = self.sent
        threading.Event().wait(0.5)
        return before > 0 and before == self.sent


def _swallow(connection: socket.socket, size: int) -> str:
    digest = hashlib.sha256()
    while size and (data := connection.recv(min(size, 1 << 18))):
        digest.update(data)
        size -= len(data)
    return digest.hexdigest()


DATA = bytes(range(256)) * (LARGE // 256)


def test_an_upload_waits_for_its_app_and_is_not_kept_in_the_gate(gate: Gate, app: Callable) -> None:
    go_on, got = threading.Event(), []

    def serve(connection: socket.socket, head: bytes) -> None:
        go_on.wait(120)
        got.append(_swallow(connection, LARGE))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    receiver, house = app(serve)
    before = gate.resident_kb()
    with gate.http.connect() as connection:
        connection.settimeout(120)
        head = spell(house.host, "/", house.cookie(), ("Content-Length", str(LARGE)))
        connection.sendall(head.replace(b"GET", b"POST", 1))
        pouring = Pouring(connection, DATA)
        thread = threading.Thread(target=pouring.pour)
        thread.start()
        wait_until(lambda: receiver.heads and pouring.is_stuck(), "the app's pace is the client's", 60)
        assert pouring.sent < LARGE / 2
        assert gate.resident_kb() - before < MAY_GROW_KB
        go_on.set()
        assert read_reply(connection).text == "ok"
        thread.join(60)
    assert got == [hashlib.sha256(DATA).hexdigest()]
    assert gate.resident_kb() - before < MAY_GROW_KB


def test_a_download_waits_for_its_reader_and_is_not_kept_in_the_gate(gate: Gate, app: Callable) -> None:
    pourings: list[Pouring] = []

    def serve(connection: socket.socket, head: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE)
        pourings.append(Pouring(connection, DATA))
        pourings[0].pour()

    _, house = app(serve)
    before = gate.resident_kb()
    with gate.http.connect() as connection:
        connection.settimeout(120)
        connection.sendall(spell(house.host, "/", house.cookie()))
        wait_until(lambda: pourings and pourings[0].is_stuck(), "the reader's pace is the app's", 60)
        assert pourings[0].sent < LARGE / 2
        assert gate.resident_kb() - before < MAY_GROW_KB
        assert hashlib.sha256(read_reply(connection).body).digest() == hashlib.sha256(DATA).digest()


def test_both_directions_flow_at_once(gate: Gate, app: Callable) -> None:
    def serve(connection: socket.socket, head: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while b"5\r\nlast!" not in (chunk := connection.recv(1000)):
            connection.sendall(chunk)
        connection.sendall(b"0\r\n\r\n")

    _, house = app(serve)
    with gate.http.connect() as connection:
        head = spell(house.host, "/", house.cookie(), ("Transfer-Encoding", "chunked")).replace(b"GET", b"POST", 1)
        connection.sendall(head)
        received = b""
        for word in (b"first", b"again"):
            connection.sendall(b"5\r\n%s\r\n" % word)
            while word not in received:
                received += connection.recv(1000)
        connection.sendall(b"5\r\nlast!\r\n0\r\n\r\n")
        while not received.endswith(b"0\r\n\r\n"):
            received += connection.recv(1000)


def test_a_range_is_asked_of_the_app_and_its_part_passes(gate: Gate, app: Callable) -> None:
    def serve(connection: socket.socket, head: bytes) -> None:
        connection.sendall(
            b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 2-5/9\r\nContent-Length: 4\r\n\r\n2345"
        )

    receiver, house = app(serve)
    reply = gate.http.ask(house.host, "/film", house.cookie(), ("Range", "bytes=2-5"), ("If-Range", '"tag"'))
    assert (reply.status, reply.header("content-range"), reply.text) == (206, "bytes 2-5/9", "2345")
    assert b"range: bytes=2-5\r\n" in receiver.heads[0] and b'if-range: "tag"\r\n' in receiver.heads[0]


def test_who_never_ends_a_request_is_cut_off_and_nobody_waits_for_that(
    gate: Gate, upstreams: Callable[[str], Upstream]
) -> None:
    """Ten seconds for a whole head, over http and https, however slowly more of it comes."""
    upstream, house = upstreams("main"), new_house()
    house.add("", upstream, [])
    settle(gate, house)
    slow = [door.connect() for door in (gate.http, gate.https) for _ in range(20)]
    for connection in slow:
        connection.sendall(HALF_AN_HEAD)
    assert gate.http.ask(house.host, "/", house.cookie()).status == 200
    for connection in slow:
        connection.settimeout(40)
        assert b" 408 " in connection.recv(4096).partition(b"\r\n")[0]
        connection.close()
    assert len(upstream.seen) == 1


def _curl(url: str, *options: str) -> str:
    command = ("curl", "-sS", "--noproxy", "*", "-k", "--max-time", str(TIMEOUT_S), *options, url)
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(("scheme", "how"), [("https", "--http2"), ("http", "--http2-prior-knowledge")])
def test_http_2_in_front_is_decided_by_the_same_rules(
    gate: Gate, upstreams: Callable[[str], Upstream], scheme: str, how: str
) -> None:
    upstream, house = upstreams("main"), new_house()
    house.add("", upstream, [])
    settle(gate, house)
    port = (gate.https if scheme == "https" else gate.http).port
    to = ("--connect-to", f"{house.host}:{port}:127.0.0.1:{port}", how, "-w", " %{http_version} %{http_code}")
    url, name = (
        f"{scheme}://{house.host}:{port}/a/b?c=d",
        "__Host-freehold_app" if scheme == "https" else "freehold_app",
    )
    assert _curl(url, *to, "-H", "Accept: application/json").endswith(" 2 401")
    assert upstream.seen == []
    forged = ("-H", "X-Freehold-User: somebody")
    assert _curl(url, *to, *forged, "-H", f"Cookie: {name}={house.token()}; mine=1").endswith(" 2 200")
    assert (upstream.last.path, upstream.last.header("x-freehold-user")) == ("/a/b?c=d", house.owner.id)
    assert upstream.last.header("cookie") == "mine=1"
    assert upstream.last.header("host") == f"{house.host}:{port}"
