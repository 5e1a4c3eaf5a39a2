"""The matrix: who × where to × how. Upstreams are the witness."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tenants import feed
from tenants.models import User
from tenants.services.sessions import end_session, sid_of
from tests.gate.conftest import Gate, errors_of, wait_until
from tests.gate.tenancy import House, console_session, new_house, new_user, settle
from tests.gate.wire import Door, Reply, Upstream, read_reply, spell

PATHS = {
    "private": "/private/page",
    "public": "/open/page",
    "reserved": "/__space/v0/actions",
    "unknown": "/private/page",
}
WAYS = ("GET", "POST", "OPTIONS", "WebSocket", "SSE")
HANDSHAKE = (
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
)
Headers = tuple[tuple[str, str], ...]


@dataclass
class Scene:
    """everybody: who → the headers by which they come. A stranger has a good session, but for an app of their own."""

    gate: Gate
    mine: House
    upstream: Upstream
    guest: User
    everybody: dict[str, Headers]

    def origin(self, house: House) -> tuple[str, str]:
        return ("Origin", f"http://{house.host}:{self.gate.http.port}")


# Who may enter what is private, and what the app is then told of them.
WELCOME = {"owner": "owner", "invited": "guest", "key": None, "own key": None}
UNWELCOME = (
    *("other person", "nobody", "wrong key", "key of another app", "revoked", "revoked key", "expired key"),
    *("taken back", "never accepted"),
)


def _everybody(mine: House, theirs: House, guest: User) -> dict[str, Headers]:
    ended, ended_session = mine.key("ended"), console_session(mine.owner)
    mine.revoke(ended)
    end_session(ended_session)
    outcast, hopeful = new_user(), new_user()
    mine.share(guest), mine.share(outcast, "ended"), mine.share(hopeful, "invited")
    return {
        "owner": (mine.cookie(),),
        "invited": (mine.guest_cookie(guest),),
        "other person": (theirs.cookie(),),
        "nobody": (),
        "key": (("X-Space-App-Key", mine.key("good")),),
        "own key": (("X-API-Key", mine.own_key),),
        "wrong key": (("X-Space-App-Key", f"fhk_{secrets.token_hex(8)}"), ("X-API-Key", "0" * 64)),
        "key of another app": (("X-Space-App-Key", theirs.key("theirs")), ("X-API-Key", theirs.own_key)),
        "revoked": (mine.cookie(sid=sid_of(ended_session)),),
        "revoked key": (("X-Space-App-Key", ended),),
        "expired key": (("X-Space-App-Key", mine.key("old", expired=True)),),
        "taken back": (mine.guest_cookie(outcast),),
        "never accepted": (mine.guest_cookie(hopeful),),
    }


@pytest.fixture(scope="module")
def scene(running_gate: Gate) -> Iterator[Scene]:
    gate = running_gate
    gate.make_whole()
    mine, theirs, upstream, guest = new_house(), new_house(), Upstream("mine"), new_user()
    mine.add("", upstream, ["/open/*", "/events/open"], takes_keys=True)
    theirs.add("", other := Upstream("theirs"), [], takes_keys=True)
    everybody = _everybody(mine, theirs, guest)
    settle(gate, mine, theirs)
    feed.changed(mine.instance.id)
    wait_until(lambda: gate.entry("guests", f"{mine.instance.id}/{guest.id}"), "the guest is known")
    wait_until(lambda: len(gate.proxy.entries("appkeys")) >= 3, "the keys are known")
    yield Scene(gate, mine, upstream, guest, everybody)
    upstream.close(), other.close()


@pytest.fixture(autouse=True)
def unseen(scene: Scene) -> None:
    scene.upstream.seen.clear()
    scene.upstream.release.clear()


def _ask(scene: Scene, way: str, where: str, who: str) -> Reply:
    host = "no-such.apps.localhost" if where == "unknown" else f"{scene.mine.host}:{scene.gate.http.port}"
    door, path, said = scene.gate.http, PATHS[where], scene.everybody[who]
    if way == "POST":
        return door.ask(host, path, *said, scene.origin(scene.mine), method="POST", body=b"hello")
    if way == "OPTIONS":
        return door.ask(host, path, *said, scene.origin(scene.mine), method="OPTIONS")
    if way == "SSE":
        scene.upstream.release.set()  # the stream ends by itself
        stream = {"private": "/events/private", "public": "/events/open"}.get(where, path)
        reply = door.ask(host, stream, *said, ("Accept", "text/event-stream"))
        assert reply.status != 200 or reply.body == b"data: first\n\ndata: second\n\n"
        return reply
    if way == "WebSocket":
        return _upgrade(door, host, path, *said, scene.origin(scene.mine))
    return door.ask(host, path, *said, ("Accept", "application/json"))


def _upgrade(door: Door, host: str, path: str, *headers: tuple[str, str]) -> Reply:
    with door.connect() as connection:
        connection.sendall(spell(host, path, *HANDSHAKE, *headers))
        reply = read_reply(connection)
        if reply.status == 101:
            connection.sendall(b"frame")
            assert connection.recv(100) == b"frame"
        return reply


def _told(scene: Scene) -> tuple[str | None, ...]:
    """What the app was told of who asks; and never of a key, or of a cookie of ours."""
    (seen,) = scene.upstream.seen
    assert not seen.names & {"x-space-app-key", "x_space_app_key"}
    assert "freehold" not in (seen.header("cookie") or "")
    return tuple(seen.header(f"x-freehold-{name}") for name in ("user", "email", "role"))


def _identity(scene: Scene, who: str) -> tuple[str | None, ...]:
    person = {"owner": scene.mine.owner, "invited": scene.guest}.get(who)
    return (person.id, person.email, WELCOME[who]) if person else (None, None, None)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("who", [*WELCOME, *UNWELCOME])
def test_a_private_route_is_reached_by_those_who_may_alone(scene: Scene, who: str, way: str) -> None:
    reply = _ask(scene, way, "private", who)
    if who in WELCOME:
        assert reply.status == (101 if way == "WebSocket" else 200)
        assert _told(scene) == _identity(scene, who)
        assert scene.upstream.last.body == (b"hello" if way == "POST" else b"")
    else:
        assert (reply.status, errors_of(reply), scene.upstream.seen) == (401, ["Unauthorized"], [])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("who", [*WELCOME, *UNWELCOME])
def test_a_public_route_is_reached_by_everyone_and_names_only_who_is_known(scene: Scene, who: str, way: str) -> None:
    reply = _ask(scene, way, "public", who)
    assert reply.status == (101 if way == "WebSocket" else 200)
    assert _told(scene) == _identity(scene, who)
    assert scene.upstream.last.body == (b"hello" if way == "POST" else b"")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("who", [*WELCOME, *UNWELCOME])
def test_a_reserved_path_reaches_no_app(scene: Scene, who: str, way: str) -> None:
    assert _ask(scene, way, "reserved", who).status in (401, 403, 404)
    assert scene.upstream.seen == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("who", [*WELCOME, *UNWELCOME])
def test_an_unknown_host_is_nothing(scene: Scene, who: str, way: str) -> None:
    reply = _ask(scene, way, "unknown", who)
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
        assert door.ask(host, "/private/page", ("Cookie", f"__Host-freehold_app={token}")).status == 200
        assert door.ask(host, "/private/page", ("Cookie", f"freehold_app={token}"), ("Accept", "x/y")).status == 401
        assert door.ask(host, "/private/page", ("Accept", "x/y")).status == 401
    assert len(scene.upstream.seen) == 2
