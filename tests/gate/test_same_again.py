"""What comes second on a connection is judged as if it came first: nothing kept with it lets in who may not enter.

The gate's short way (again.cfg.template) is for the owner's next request alone. What can change about it changes here.
"""

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provider.gate.entry import read
from tests.gate.conftest import Gate, wait_until
from tests.gate.tenancy import House, new_house, settle
from tests.gate.wire import Reply, Seen, Upstream, read_reply, spell

bounded = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
JSON = ("Accept", "application/json")


@dataclass
class Scene:
    gate: Gate
    house: House
    also: House
    theirs: House
    upstreams: list[Upstream]

    @contextmanager
    def entered(self, *headers: tuple[str, str]) -> Iterator[socket.socket]:
        """A connection on which the owner was let in twice, the second time by the short way."""
        jar = ("Cookie", f"a=1; freehold_app={self.house.token()}")
        # Past the smallest limits there is no short way.
        self.gate.proxy.ask(f"clear table per_instance key {self.house.instance.id}")
        with self.gate.http.connect() as connection:
            for _ in range(2):
                assert ask(connection, spell(self.house.host, "/own", jar, *headers)).status == 200
            assert _short(self.upstreams[0].last), "it was not taken, so this test would show nothing"
            assert self.upstreams[0].last.header("x-scheme") == "http"
            yield connection

    def seen(self) -> list[tuple[str, str, str, list[tuple[str, str]]]]:
        """And forgotten."""
        found = []
        for upstream in self.upstreams:
            for one in upstream.seen:
                headers = sorted((name.lower(), value) for name, value in one.headers)
                found.append((upstream.name, one.method, one.path, headers))
            upstream.seen.clear()
        return found


def ask(connection: socket.socket, raw: bytes, method: str = "GET") -> Reply:
    connection.sendall(raw)
    return read_reply(connection, method)


def _short(seen: Seen) -> bool:
    """The headers that the gate adds stand before the cookies that it leaves only there."""
    names = [name.lower() for name, _ in seen.headers]
    return names.index("x-freehold-user") < names.index("cookie")


@pytest.fixture
def scene(gate: Gate, upstreams: Callable[[str], Upstream]) -> Scene:
    house, theirs = new_house(), new_house()
    also = new_house(house.owner)
    apps = [upstreams(name) for name in ("main", "also", "theirs")]
    for one, app in zip((house, also, theirs), apps, strict=True):
        one.add("", app, ["/open/*"], takes_keys=True)
    settle(gate, house, also, theirs)
    return Scene(gate, house, also, theirs, apps)


JARS = st.sampled_from(
    ["freehold_app={mine}", "a=1; freehold_app={mine}; b=2", "freehold_app={mine}; freehold_app={mine}",
     "freehold_app={also}",
     "freehold_app={theirs}", "freehold_app={over}", "freehold_app={mine}x", "freehold_app={other_host}",
     "Freehold_App={mine}",
     "freehold_app={theirs}; freehold_app={mine}", "freehold_app={guest}", "a=1", "freehold_app=",
     "__Host-freehold_app={mine}"]
)  # fmt: skip
HOSTS = st.sampled_from(["{host}", "{HOST}", "{host}:80", "{host}.", "{also}", "{theirs}", "nobody.apps.localhost"])
PATHS = st.sampled_from(
    ["/", "/p", "/p/", "/p?q=1", "/p?q=//x", "/open/x", "//p", "/./p", "/../p", "/%70", "/p%2f", "/__space/x", "/_space",
     "/p/__space/x",
     "/__SPACE/x", "http://{host}/p", "http://{theirs}/p", "/p;x", "/p\\x", "*", "/__space", "/p?/__space/x",
     "/.well-known/x"]
)  # fmt: skip
EXTRAS = st.sampled_from(
    [("Origin", "http://{host}"), ("Origin", "http://{also}"), ("Origin", "null"), ("Sec-Fetch-Site", "same-origin"),
     ("Sec-Fetch-Site", "same-site"), ("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate"),
     ("Sec-Fetch-Dest", "document"), ("Sec-Fetch-Dest", "iframe"), ("X-Freehold-User", "forged"),
     ("X_Freehold_Role", "forged"),
     ("X-Forwarded-For", "forged"), ("Connection", "keep-alive"), ("Connection", "x-freehold-user"), ("X-API-Key", "k"),
     ("X-Space-App-Key", "k"), ("Host", "{also}"), ("Host", "{host}"), ("Cookie", "a=1"),
     ("Cookie", "freehold_app={theirs}"),
     ("Authorization", "Bearer x"), ("Accept", "text/html"), ("User-Agent", "x"), ("Range", "bytes=0-1"), ("Referer", "x"),
     ("Proxy", "x"), ("Forwarded", "x"), ("Content-Length", "0"), ("If-None-Match", "x"), ("X-Own", "y"), ("Accept", "a,b")]
)  # fmt: skip


@given(
    jar=st.none() | JARS,
    host=HOSTS,
    path=PATHS,
    extras=st.lists(EXTRAS, max_size=3),
    method=st.sampled_from(["GET", "GET", "GET", "HEAD", "POST", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]),
)
@bounded
def test_what_comes_second_is_judged_as_if_it_came_first(
    scene: Scene, jar: str | None, host: str, path: str, extras: list[tuple[str, str]], method: str
) -> None:
    mine = scene.house
    words = {"host": mine.host, "HOST": mine.host.upper(), "also": scene.also.host, "theirs": scene.theirs.host}
    tokens = {"mine": mine.token(), "also": scene.also.token(), "theirs": scene.theirs.token()}
    tokens |= {
        "over": mine.token(exp=1),
        "other_host": mine.token(host=scene.also.host),
        "guest": mine.token(role="guest"),
    }
    cookies = [("Cookie", jar.format(**tokens))] if jar is not None else []
    more = [(name, value.format(**(tokens if name == "Cookie" else words))) for name, value in extras]
    raw = spell(host.format(**words), path.format(**words), *cookies, *more, method=method)
    with scene.gate.http.connect() as fresh:
        scene.seen()
        first, reached_first = ask(fresh, raw, method), scene.seen()
    with scene.entered() as connection:
        scene.seen()
        second, reached_second = ask(connection, raw, method), scene.seen()
    assert (second.status, reached_second) == (first.status, reached_first)


def test_another_session_on_the_connection_is_another_person(scene: Scene) -> None:
    """Behind somebody's proxy many come over one connection."""
    with scene.entered() as connection:
        for house, upstream in ((scene.theirs, scene.upstreams[2]), (scene.house, scene.upstreams[0])) * 2:
            assert ask(connection, spell(house.host, "/p", house.cookie())).status == 200
            assert upstream.last.header("x-freehold-user") == house.owner.id
        assert ask(connection, spell(scene.house.host, "/p", scene.theirs.cookie(), JSON)).status == 401


def test_what_may_change_is_looked_up_each_time(scene: Scene) -> None:
    """By the maps alone: nobody is there to ask, so whoever is not let in by them is not let in."""
    gate, house = scene.gate, scene.house
    home, kid = gate.entry("hosts", house.host), house.token().partition("~")[0]
    key, theirs = gate.entry("keys", kid), gate.entry("hosts", scene.theirs.host)
    assert home and key and theirs
    gate.stop("agent"), gate.stop("live")
    keep = str(int(time.time()) + 60)
    gate.proxy.overwrite("beat", keep)
    away = home.replace(read(home).upstream, "")
    changes: list[tuple[Callable[[], None], Callable[[], None]]] = [
        (lambda: gate.proxy.put("keys", kid, "bm90IGl0"), lambda: gate.proxy.put("keys", kid, key)),
        (
            lambda: gate.proxy.put("revoked", house.session.sid, "1"),
            lambda: gate.proxy.drop("revoked", house.session.sid),
        ),
        (lambda: gate.proxy.overwrite("beat", "1"), lambda: gate.proxy.overwrite("beat", keep)),
        (lambda: gate.proxy.put("hosts", house.host, theirs), lambda: gate.proxy.put("hosts", house.host, home)),
        (lambda: gate.proxy.put("hosts", house.host, away), lambda: gate.proxy.put("hosts", house.host, home)),
        (lambda: gate.proxy.drop("hosts", house.host), lambda: gate.proxy.put("hosts", house.host, home)),
    ]
    for change, back in changes:
        with scene.entered() as connection:
            scene.seen()
            change()
            reply = ask(connection, spell(house.host, "/own", house.cookie(), JSON))
            assert reply.status in (404, 502) and scene.seen() == []
            back()
            assert ask(connection, spell(house.host, "/own", house.cookie(), JSON)).status == 200


def test_it_follows_where_the_app_has_moved(scene: Scene, upstreams: Callable[[str], Upstream]) -> None:
    moved = upstreams("moved")
    with scene.entered() as connection:
        scene.house.instance.micros.update(upstream=moved.address)
        scene.house.change()
        wait_until(lambda: scene.gate.upstream(scene.house.instance.id) == moved.address, "the map follows")
        reply = ask(connection, spell(scene.house.host, "/p", scene.house.cookie()))
        assert json.loads(reply.body)["from"] == "moved"


def test_a_stream_that_began_so_is_noted_as_any_other(scene: Scene) -> None:
    house = scene.house
    with scene.entered() as connection:
        connection.sendall(spell(house.host, "/events", ("Cookie", f"a=1; freehold_app={house.token()}")))
        assert b"200" in connection.recv(65536)
        notes = [one.value for one in scene.gate.proxy.entries("streams") if one.key.endswith(f"/{house.instance.id}")]
        assert [note.split("/")[:3] for note in notes] == [[house.session.sid, house.owner.id, "owner"]]
        assert _short(scene.upstreams[0].last)
        scene.upstreams[0].release.set()
