"""The same as test_hostile_requests.py and test_hostile_bytes.py over HTTP/2, which spells everything in its own way.

Frames are made by hand, so that nothing corrects what is sent. The apps are the witness: whoever has no session here reaches
no private page, and nobody is named who is not there.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.gate import wire2
from tests.gate.conftest import Gate
from tests.gate.tenancy import House, new_house, settle
from tests.gate.test_hostile_bytes import NAMES, respelt
from tests.gate.wire import Upstream

bounded = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
COOKIE = "__Host-freehold_app"


@dataclass
class Scene:
    gate: Gate
    house: House
    theirs: House
    upstream: Upstream
    other: Upstream

    def ask(self, *headers: tuple[str, str], split: bool = False) -> int:
        return wire2.ask(self.gate.https, headers, split=split)

    def nothing_private(self) -> None:
        for seen in self.upstream.seen:
            assert seen.path.startswith("/open/") and ".." not in seen.path, seen
            assert not [name for name in seen.names if name.startswith("x-freehold")], seen
            assert "forged" not in [value for _, value in seen.headers], seen
        assert self.other.seen == []

    def still_right(self) -> None:
        """The owner's next request gets its own answer: nothing was left behind on the way to the app."""
        path, cookie = "/own/1", ("Cookie", f"{COOKIE}={self.house.token()}")
        assert json.loads(self.gate.https.ask(self.house.host, path, cookie).body)["path"] == path
        assert self.upstream.seen.pop().header("x-freehold-user") == self.house.owner.id


@pytest.fixture
def scene(gate: Gate, upstreams: Callable[[str], Upstream]) -> Scene:
    house, theirs, upstream, other = new_house(), new_house(), upstreams("main"), upstreams("theirs")
    house.add("", upstream, ["/open/*"], takes_keys=True)
    theirs.add("", other, [])
    settle(gate, house, theirs)
    return Scene(gate, house, theirs, upstream, other)


def pseudo(host: str, path: str, **others: str) -> list[tuple[str, str]]:
    parts = {"method": "GET", "scheme": "https", "authority": host, "path": path} | others
    return [(f":{name}", value) for name, value in parts.items()]


HOSTS = st.sampled_from(
    ["HOST", "THEIRS", "other", "HOST:443", "HOST:80:80", "HOST.", "HOST,THEIRS", "a@HOST", "HOST/", " HOST", "", "HOST ",
     "HOST#", "HOST?", "[HOST]", "HOST%00", "http://HOST"]
)  # fmt: skip
PATHS = st.sampled_from(
    ["/private/x", "//private/x", "private/x", "https://HOST/private/x", "https://THEIRS/private/x", "*", "",
     "HOST/private/x",
     "/open/../private/x", "/open/%2e%2e/private/x", "/open\\..\\private", "/open/x", "/open/x?y", "/open/x#/private",
     "/%2e%2e/private", "/__space/v0/x", "/%5f_space/x", "/open/ /x", "/open/x HTTP/1.1", "/open/\t", "//HOST/private/x"]
)  # fmt: skip
METHODS = st.sampled_from(["GET", "HEAD", "POST", "OPTIONS", "TRACE", "CONNECT", "get", "GET /open/x", "", "PRI"])
DOUBLED = st.lists(
    st.tuples(st.sampled_from([":path", ":authority", ":method", ":scheme", ":status", ":protocol", ":x"]),
              st.sampled_from(["/open/x", "HOST", "THEIRS", "GET", "https", "websocket", "200"])), max_size=2
)  # fmt: skip


@given(
    authority=HOSTS, host=st.none() | HOSTS, path=PATHS, method=METHODS, doubled=DOUBLED,
    scheme=st.sampled_from(["https", "http", "ftp", "", "https://evil/", "javascript"]),
    late=st.booleans(), split=st.booleans(), who=st.sampled_from(["nobody", "stranger"]),
)  # fmt: skip
@bounded
def test_no_spelling_of_where_to_reaches_what_is_private(
    scene: Scene, authority: str, host: str | None, path: str, method: str, doubled: list[tuple[str, str]],
    scheme: str, late: bool, split: bool, who: str,
) -> None:  # fmt: skip
    scene.upstream.seen.clear()
    plain = [("host", host)] if host is not None else []
    plain += [("cookie", f"{COOKIE}={scene.theirs.token()}")] if who == "stranger" else []
    first = pseudo(authority, path, method=method, scheme=scheme)
    headers = [*plain, *first, *doubled] if late else [*first, *doubled, *plain]
    names = {"HOST": scene.house.host, "THEIRS": scene.theirs.host}
    scene.ask(*((name, _filled(value, names)) for name, value in headers), split=split)
    if who == "nobody":
        scene.nothing_private()
    assert not any(seen.header("x-freehold-user") for seen in scene.upstream.seen)
    for seen in scene.other.seen:
        # Theirs it is only where this names their own host as any browser would.
        assert seen.header("host") == scene.theirs.host and seen.header("x-freehold-user") == scene.theirs.owner.id
    scene.other.seen.clear()
    scene.still_right()


def _filled(value: str, names: dict[str, str]) -> str:
    for word, name in names.items():
        value = value.replace(word, name)
    return value


HOPS = st.sampled_from(
    [("connection", "x-freehold-user"), ("connection", "upgrade"), ("upgrade", "websocket"),
     ("transfer-encoding", "chunked"),
     ("keep-alive", "1"), ("proxy-connection", "x"), ("te", "trailers, x"), ("content-length", "5"), ("Content-Length", "0"),
     ("http2-settings", "AAAA"), ("expect", "100-continue"), ("trailer", "x-freehold-user")]
)  # fmt: skip
VALUES = st.sampled_from(
    ["forged", "forged\r\nx-freehold-user: usr", "forged\x00", " forged ", "a\nx-freehold-user: b"]
)


@given(
    names=st.lists(respelt() | st.sampled_from([f"{name}:" for name in NAMES] + ["", " x-user", "x-user ", ":x-user"]),
                   min_size=1, max_size=5),
    value=VALUES, hops=st.lists(HOPS, max_size=3), lower=st.booleans(), split=st.booleans(),
    who=st.sampled_from(["nobody", "stranger"]),
)  # fmt: skip
@bounded
def test_no_spelling_of_a_header_speaks_for_somebody(
    scene: Scene, names: list[str], value: str, hops: list[tuple[str, str]], lower: bool, split: bool, who: str
) -> None:
    scene.upstream.seen.clear()
    cookie = [("cookie", f"{COOKIE}={scene.theirs.token()}")] if who == "stranger" else []
    forged = [(name.lower() if lower else name, value) for name in names]
    for path in ("/open/x", "/private/x"):
        scene.ask(*pseudo(scene.house.host, path), *cookie, *forged, *hops, split=split)
    scene.nothing_private()
    scene.still_right()


CRUMBS = st.sampled_from(
    ["{name}={theirs}", "{name}=", "{name}", "{plain}={mine}", "Freehold_App={mine}", "a=1",
     "{name}={theirs}; {name}={theirs}",
     "x{name}={mine}", '{name}="{mine}"', "{name} ={theirs}", "", ";", "{name}={half}", "={rest}", "{rest}",
     "__Secure-{plain}={mine}"]
)  # fmt: skip


@given(crumbs=st.lists(CRUMBS, min_size=1, max_size=5), split=st.booleans())
@bounded
def test_no_crumbs_of_cookies_let_in_who_has_no_session_here(scene: Scene, crumbs: list[str], split: bool) -> None:
    """HTTP/2 may send one cookie header in several pieces, which the gate reads as one."""
    scene.upstream.seen.clear()
    mine = scene.house.token()
    words = {"name": COOKIE, "plain": "freehold_app", "theirs": scene.theirs.token(), "mine": mine}
    words |= {"half": mine[: len(mine) // 2], "rest": mine[len(mine) // 2 :]}
    sent = [("cookie", crumb.format(**words)) for crumb in crumbs]
    scene.ask(*pseudo(scene.house.host, "/private/x"), ("accept", "a/b"), *sent, split=split)
    assert scene.upstream.seen == []


def test_the_owners_crumbs_are_one_jar(scene: Scene) -> None:
    jar = [("cookie", "a=1"), ("cookie", f"{COOKIE}={scene.house.token()}"), ("cookie", "b=2")]
    assert scene.ask(*pseudo(scene.house.host, "/p"), *jar) == 200
    assert scene.upstream.last.header("cookie") == "a=1; b=2"
    assert scene.upstream.last.header("x-freehold-user") == scene.house.owner.id


def test_a_session_twice_in_crumbs_is_none(scene: Scene) -> None:
    mine = ("cookie", f"{COOKIE}={scene.house.token()}")
    assert scene.ask(*pseudo(scene.house.host, "/p"), mine, mine, ("accept", "a/b")) == 401
    assert scene.upstream.seen == []


@pytest.mark.parametrize("whose", ["nobody", "stranger", "owner"])
def test_a_websocket_over_http2_is_no_way_in(scene: Scene, whose: str) -> None:
    """It is not offered, so whoever opens one all the same, for the owner included, is refused."""
    tokens = {"stranger": scene.theirs.token(), "owner": scene.house.token()}
    cookie = [("cookie", f"{COOKIE}={tokens[whose]}")] if whose in tokens else []
    connect = pseudo(scene.house.host, "/private/x", method="CONNECT")
    assert scene.ask(*connect, (":protocol", "websocket"), ("sec-websocket-version", "13"), *cookie) != 200
    assert scene.upstream.seen == []


def test_two_people_on_one_connection_are_each_themselves(scene: Scene) -> None:
    """As behind somebody's proxy: what is kept with a connection is of nobody else's use."""
    with wire2.Line(scene.gate.https) as line:
        for _ in range(3):
            for house, upstream in ((scene.house, scene.upstream), (scene.theirs, scene.other)):
                own = [*pseudo(house.host, "/p"), ("cookie", f"{COOKIE}={house.token()}")]
                assert line.ask(own) == 200
                assert upstream.last.header("x-freehold-user") == house.owner.id
                assert line.ask([*pseudo(house.host, "/p"), ("accept", "a/b")]) == 401
        wrong = [*pseudo(scene.house.host, "/p"), ("cookie", f"{COOKIE}={scene.theirs.token()}"), ("accept", "a/b")]
        assert line.ask(wrong) == 401
    assert len(scene.upstream.seen) == len(scene.other.seen) == 3
