"""A stream that is open ends with the right to it; others go on, also those of the same app."""

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from provider.gate.asking import sha256
from tenants import feed
from tenants.services import sharing
from tenants.services.sessions import end_session
from tests.gate.conftest import Gate, wait_until
from tests.gate.tenancy import House, new_house, new_user, settle
from tests.gate.test_who_may_enter import HANDSHAKE
from tests.gate.wire import Door, Upstream, read_reply, spell

WITHIN_S = 5.0


@dataclass
class Scene:
    gate: Gate
    house: House
    upstream: Upstream
    opened: list[socket.socket] = field(default_factory=list)

    def web_socket(self, *headers: tuple[str, str], door: Door | None = None, path: str = "/ws") -> socket.socket:
        """A WebSocket that has echoed once."""
        origin = ("Origin", f"{'https' if door and door.tls else 'http'}://{self.house.host}")
        connection = self._sent(spell(self.house.host, path, *HANDSHAKE, origin, *headers), door)
        assert read_reply(connection).status == 101
        assert echoes(connection)
        return connection

    def events(self, *headers: tuple[str, str]) -> socket.socket:
        connection = self._sent(spell(self.house.host, "/events/x", *headers))
        received = b""
        while b"first" not in received:
            received += connection.recv(1000)
        return connection

    def _sent(self, raw: bytes, door: Door | None = None) -> socket.socket:
        self.opened.append((door or self.gate.http).connect())
        self.opened[-1].sendall(raw)
        return self.opened[-1]


@pytest.fixture
def scene(gate: Gate, upstreams: Callable[[str], Upstream]) -> Iterator[Scene]:
    scene = Scene(gate, new_house(), upstreams("main"))
    scene.house.add("", scene.upstream, ["/open/*"], takes_keys=True)
    settle(gate, scene.house)
    yield scene
    for connection in scene.opened:
        connection.close()


def echoes(connection: socket.socket) -> bool:
    try:
        connection.sendall(b"frame")
        return connection.recv(100) == b"frame"
    except OSError:
        return False


def ended(connection: socket.socket) -> bool:
    connection.settimeout(0.2)
    try:
        return connection.recv(1000) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def test_signing_out_ends_ones_own_streams_and_nobody_elses(scene: Scene) -> None:
    guest = new_user()
    share = scene.house.share(guest)
    feed.changed(scene.house.instance.id)
    wait_until(lambda: scene.gate.entry("guests", f"{scene.house.instance.id}/{guest.id}"), "the guest is known")
    mine, stream = scene.web_socket(scene.house.cookie()), scene.events(scene.house.cookie())
    theirs = scene.web_socket(scene.house.guest_cookie(guest))
    end_session(scene.house.console_key)
    wait_until(lambda: ended(mine) and ended(stream), "the owner's streams are over", WITHIN_S)
    assert echoes(theirs)
    sharing.end(scene.house.owner, share)
    wait_until(lambda: ended(theirs), "the guest's stream is over", WITHIN_S)


def test_streams_over_https_end_too_by_whichever_port_they_came(scene: Scene) -> None:
    cookie = ("Cookie", f"__Host-freehold_app={scene.house.token()}")
    doors = (scene.gate.https, Door(scene.gate.http.port, tls=True))
    streams = [scene.web_socket(cookie, door=door) for door in doors]
    end_session(scene.house.console_key)
    wait_until(lambda: all(ended(stream) for stream in streams), "both are over", WITHIN_S)


def test_a_revoked_key_ends_the_streams_that_it_opened(scene: Scene) -> None:
    keys = [scene.house.key(name) for name in ("going", "staying")]
    place = f"{scene.house.instance.id}//{sha256(keys[1])}"
    wait_until(lambda: scene.gate.entry("appkeys", place), "the keys are known")
    going, staying = (scene.web_socket(("X-Space-App-Key", key)) for key in keys)
    own = scene.web_socket(("X-API-Key", scene.house.own_key))
    anybodys = scene.web_socket(("X-Space-App-Key", "wrong"), path="/open/ws")
    scene.house.revoke(keys[0])
    wait_until(lambda: ended(going), "its stream is over", WITHIN_S)
    assert echoes(staying) and echoes(own) and echoes(anybodys)


def test_what_was_revoked_while_the_agent_was_away_ends_when_it_is_back(scene: Scene) -> None:
    mine = scene.web_socket(scene.house.cookie())
    scene.gate.stop("agent")
    end_session(scene.house.console_key)
    assert echoes(mine)
    scene.gate.start("agent")
    wait_until(lambda: ended(mine), "the stream is over", 20)
    wait_until(lambda: not scene.gate.proxy.entries("streams"), "its note is gone")
