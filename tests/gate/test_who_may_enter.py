"""The matrix: owner, stranger, nobody × private, public, reserved, unknown × ways to ask. Upstreams are the witness."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.gate.conftest import Gate, errors_of
from tests.gate.tenancy import House, new_house, settle
from tests.gate.wire import Door, Reply, Upstream, read_reply, spell

PRIVATE, PUBLIC, RESERVED = "/private/page", "/open/page", "/__space/v0/actions"
HANDSHAKE = (
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
)


@dataclass
class Scene:
    gate: Gate
    mine: House
    theirs: House
    upstream: Upstream

    def origin(self, house: House) -> tuple[str, str]:
        return ("Origin", f"http://{house.host}:{self.gate.http.port}")

    def cookie(self, who: str) -> tuple[tuple[str, str], ...]:
        """A stranger has a good session, but for an app of their own."""
        return {"owner": (self.mine.cookie(),), "stranger": (self.theirs.cookie(),), "nobody": ()}[who]


@pytest.fixture
def scene(gate: Gate, upstreams: Callable[[str], Upstream]) -> Scene:
    mine, theirs, upstream = new_house(), new_house(), upstreams("mine")
    mine.add("", upstream, ["/open/*", "/events/open"])
    theirs.add("", upstreams("theirs"), [])
    settle(gate, mine, theirs)
    return Scene(gate, mine, theirs, upstream)


def _ask(scene: Scene, way: str, path: str, who: str) -> Reply:
    door, host, cookie = scene.gate.http, f"{scene.mine.host}:{scene.gate.http.port}", scene.cookie(who)
    if way == "POST":
        return door.ask(host, path, *cookie, scene.origin(scene.mine), method="POST", body=b"hello")
    if way == "SSE":
        return door.ask(host, path, *cookie, ("Accept", "text/event-stream"))
    if way == "WebSocket":
        return _upgrade(door, host, path, *cookie, scene.origin(scene.mine))
    return door.ask(host, path, *cookie, ("Accept", "application/json"))


def _upgrade(door: Door, host: str, path: str, *headers: tuple[str, str]) -> Reply:
    with door.connect() as connection:
        connection.sendall(spell(host, path, *HANDSHAKE, *headers))
        reply = read_reply(connection)
        if reply.status == 101:
            connection.sendall(b"frame")
            assert connection.recv(100) == b"frame"
        return reply


@pytest.mark.parametrize("way", ["GET", "POST", "WebSocket", "SSE"])
@pytest.mark.parametrize("who", ["owner", "stranger", "nobody"])
def test_a_private_route_is_reached_by_its_owner_alone(scene: Scene, who: str, way: str) -> None:
    reply = _ask(scene, way, PRIVATE, who)
    if who == "owner":
        assert reply.status == (101 if way == "WebSocket" else 200)
        assert scene.upstream.last.header("x-freehold-user") == scene.mine.owner.id
        assert scene.upstream.last.header("x-freehold-email") == scene.mine.owner.email
        assert scene.upstream.last.header("x-freehold-role") == "owner"
        assert scene.upstream.last.body == (b"hello" if way == "POST" else b"")
    else:
        assert (reply.status, errors_of(reply), scene.upstream.seen) == (401, ["Unauthorized"], [])


@pytest.mark.parametrize("way", ["GET", "POST", "WebSocket", "SSE"])
@pytest.mark.parametrize("who", ["owner", "stranger", "nobody"])
def test_a_public_route_is_reached_by_everyone_and_names_only_its_owner(scene: Scene, who: str, way: str) -> None:
    reply = _ask(scene, way, PUBLIC, who)
    assert reply.status == (101 if way == "WebSocket" else 200)
    assert scene.upstream.last.header("x-freehold-user") == (scene.mine.owner.id if who == "owner" else None)
    assert scene.upstream.last.body == (b"hello" if way == "POST" else b"")


@pytest.mark.parametrize("way", ["GET", "POST", "WebSocket", "SSE"])
@pytest.mark.parametrize("who", ["owner", "stranger", "nobody"])
def test_a_reserved_path_reaches_no_app(scene: Scene, who: str, way: str) -> None:
    assert _ask(scene, way, RESERVED, who).status in (403, 404)
    assert scene.upstream.seen == []


@pytest.mark.parametrize("way", ["GET", "POST"])
@pytest.mark.parametrize("who", ["owner", "stranger", "nobody"])
def test_an_unknown_host_is_nothing(scene: Scene, who: str, way: str) -> None:
    body = b"x" if way == "POST" else b""
    reply = scene.gate.http.ask("no-such.apps.localhost", PRIVATE, *scene.cookie(who), method=way, body=body)
    assert (reply.status, errors_of(reply), scene.upstream.seen) == (404, ["Not found"], [])


def test_an_unknown_host_shows_browsers_a_page(gate: Gate) -> None:
    reply = gate.http.ask("no-such.apps.localhost", "/", ("Accept", "text/html"))
    assert reply.status == 404
    assert "nothing at this address" in reply.text


def test_an_event_stream_flows_while_it_is_open(scene: Scene) -> None:
    with scene.gate.http.connect() as connection:
        connection.sendall(spell(scene.mine.host, "/events/private", scene.mine.cookie()))
        received = b""
        while b"first" not in received:
            received += connection.recv(1000)
        assert b"second" not in received
        scene.upstream.release.set()
        while b"second" not in received:
            received += connection.recv(1000)


def test_a_large_upload_passes_whole(scene: Scene) -> None:
    body = b"0123456789abcdef" * 500_000
    reply = scene.gate.http.ask(scene.mine.host, "/upload", scene.mine.cookie(), method="POST", body=body)
    assert reply.status == 200
    assert scene.upstream.last.body == body


def test_the_same_holds_over_https_and_over_https_on_the_plain_port(scene: Scene) -> None:
    token, host = scene.mine.token(), scene.mine.host
    for door in (scene.gate.https, Door(scene.gate.http.port, tls=True)):
        assert door.ask(host, PRIVATE, ("Cookie", f"__Host-freehold_app={token}")).status == 200
        assert door.ask(host, PRIVATE, ("Cookie", f"freehold_app={token}"), ("Accept", "x/y")).status == 401
        assert door.ask(host, PRIVATE, ("Accept", "x/y")).status == 401
    assert len(scene.upstream.seen) == 2
