"""Requests that mean one thing to the proxy and might mean another to an app: framing, header names, cookies, hosts.

Whatever is sent, by nobody or by somebody with a session of another app, no private page is reached, nobody is named who is
not there, and the next person on the same connections gets their own answer.
"""

import contextlib
import json
import socket
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.gate.conftest import Gate
from tests.gate.tenancy import House, new_house, settle
from tests.gate.wire import Upstream

bounded = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass
class Scene:
    gate: Gate
    house: House
    theirs: House
    upstream: Upstream

    def send(self, raw: bytes) -> bytes:
        """All that comes back on one connection until the proxy has nothing more to say."""
        answer = b""
        with self.gate.http.connect() as connection, contextlib.suppress(OSError):
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
            while data := connection.recv(65536):
                answer += data
        return answer

    def still_right(self) -> bool:
        """The owner's next requests get their own answers: nothing was left behind on the way to the app."""
        return all(
            json.loads(self.gate.http.ask(self.house.host, path, self.house.cookie()).body)["path"] == path
            for path in ("/own/1", "/own/2")
        )


@pytest.fixture
def scene(gate: Gate, upstreams: Callable[[str], Upstream]) -> Scene:
    house, theirs, upstream = new_house(), new_house(), upstreams("main")
    house.add("", upstream, ["/open/*"], takes_keys=True)
    theirs.add("", upstreams("theirs"), [])
    settle(gate, house, theirs)
    return Scene(gate, house, theirs, upstream)


def _nothing_private(scene: Scene) -> None:
    for seen in scene.upstream.seen:
        assert seen.path.startswith(("/open/", "/own/")), seen
        assert seen.path.startswith("/own/") or not [n for n in seen.names if n.startswith("x-freehold")], seen


LENGTHS = st.sampled_from(
    ["Content-Length: 0", "Content-Length: 5", "Content-Length: 44", "Content-Length: 0, 44", "Content-Length: +5",
     "Content-Length: 0x5", "Content-Length : 44", "Content-Length:\t44", " Content-Length: 44", "Content_Length: 44",
     "Content-Length: -1", "Content-Length: 99999999999999999999", "CONTENT-LENGTH: 44", "Content-Length: 5 5"]
)  # fmt: skip
CODINGS = st.sampled_from(
    ["Transfer-Encoding: chunked", "Transfer-Encoding:chunked", "transfer-encoding: CHUNKED", "Transfer-Encoding: xchunked",
     "Transfer-Encoding: chunked, identity", "Transfer-Encoding: identity", "Transfer-Encoding : chunked",
     "Transfer-Encoding:\x0bchunked", "Transfer-Encoding: \"chunked\"", "Transfer_Encoding: chunked",
     "X: y\nTransfer-Encoding: chunked", "Transfer-Encoding: gzip, chunked", "Transfer-Encoding:\r\n chunked"]
)  # fmt: skip
BODIES = st.sampled_from(
    ["", "0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", "5;x=\n\r\nhello\r\n0\r\n\r\n", "0\r\nX: y\r\n\r\n", "hello"]
)
STARTS = st.sampled_from(
    ["POST /open/x HTTP/1.1", "GET /open/x HTTP/1.1", "POST /open/x HTTP/1.0", "POST /open/x HTTP/1.2", "POST /open/x",
     "OPTIONS /open/x HTTP/1.1", "POST  /open/x HTTP/1.1", "POST /open/x\tHTTP/1.1", "GET /open/x HTTP/1.1 HTTP/1.1"]
)  # fmt: skip


@given(
    start=STARTS,
    framing=st.lists(st.one_of(LENGTHS, CODINGS), max_size=3),
    body=BODIES,
    connection=st.sampled_from(
        ["keep-alive", "close", "upgrade", "transfer-encoding", "content-length, keep-alive", ""]
    ),
)
@bounded
def test_nothing_is_smuggled_in_behind_a_public_request(
    scene: Scene, start: str, framing: list[str], body: str, connection: str
) -> None:
    scene.upstream.seen.clear()
    inner = f"GET /private/smuggled HTTP/1.1\r\nHost: {scene.house.host}\r\nX-Freehold-User: usrforged\r\n\r\n"
    more = [f"Connection: {connection}"] if connection else []
    lines = [start, f"Host: {scene.house.host}", *framing, *more, "", ""]
    scene.send("\r\n".join(lines).encode("latin-1") + body.encode() + inner.encode())
    assert scene.still_right()
    _nothing_private(scene)


NAMES = ("X-Freehold-User", "X-Freehold-Email", "X-Freehold-Role", "X-Forwarded-For", "X-Forwarded-User", "Forwarded",
         "X-User", "Remote-User", "X-Upstream", "X-Space-App-Key", "X-Gate-Secret", "X-Real-IP", "X-Original-URL",
         "X-Freehold-Static", "X-Freehold-Data-Token", "X-Rewrite-URL")  # fmt: skip


@st.composite
def respelt(draw: st.DrawFn) -> str:
    """A name of the gate's own, with any capitals, and with what some server takes for a hyphen."""
    name = draw(st.sampled_from(NAMES))
    dash = draw(st.sampled_from(["-", "_", ".", "~", "!", "+", "*", "'"]))
    capitals = draw(st.lists(st.booleans(), min_size=len(name), max_size=len(name)))
    return "".join(c.upper() if up else c.lower() for c, up in zip(name, capitals, strict=True)).replace("-", dash)


@given(
    names=st.lists(respelt(), min_size=1, max_size=6),
    upgrade=st.sampled_from(
        [(), ("Upgrade: websocket", "Connection: Upgrade"), ("Upgrade: h2c", "Connection: Upgrade")]
    ),
    who=st.sampled_from(["nobody", "stranger"]),
)
@bounded
def test_no_spelling_of_a_header_speaks_for_somebody(
    scene: Scene, names: list[str], upgrade: tuple[str, ...], who: str
) -> None:
    scene.upstream.seen.clear()
    cookie = [f"Cookie: freehold_app={scene.theirs.token()}"] if who == "stranger" else []
    for path in ("/open/x", "/private/x"):
        extra = [f"{name}: forged" for name in names]
        lines = [f"GET {path} HTTP/1.1", f"Host: {scene.house.host}", *cookie, *extra, *upgrade, "", ""]
        scene.send("\r\n".join(lines).encode("latin-1"))
    _nothing_private(scene)
    for seen in scene.upstream.seen:
        assert "forged" not in [value for _, value in seen.headers]


@st.composite
def pots(draw: st.DrawFn) -> list[tuple[str, str]]:
    """Cookies of and like the gate's: names with quotes, blanks, capitals and prefixes; values good, broken and empty."""
    names = st.sampled_from(
        ["freehold_app", "Freehold_App", "__Host-freehold_app", "__Secure-freehold_app", " freehold_app", "freehold_app ",
         '"freehold_app"', "$freehold_app", "freehold_app\t", "xfreehold_app", "freehold_tidy", "freehold_tries", "", "a"]
    )  # fmt: skip
    values = st.sampled_from(["theirs", "broken", "none", '"theirs"', "theirs theirs", "theirs,theirs", ""])
    return draw(st.lists(st.tuples(names, values), min_size=1, max_size=5))


@given(pots=pots(), glue=st.sampled_from(["; ", ";", ", ", " ; ", ";;", "\t"]), headers=st.integers(1, 2))
@bounded
def test_no_jar_of_cookies_lets_in_who_has_no_session_here(
    scene: Scene, pots: list[tuple[str, str]], glue: str, headers: int
) -> None:
    scene.upstream.seen.clear()
    token = scene.theirs.token()
    head, payload, _ = token.split(".")
    mine = scene.house.token().split(".")
    made = {"theirs": token, "broken": f"{mine[0]}.{mine[1]}.AAAA", "none": f"{head}.{payload}."}
    jar = glue.join(
        f"{name}={' '.join(made.get(word, word) for word in value.split(' '))}"
        if value in made or " " in value
        else f"{name}={value.replace('theirs', token)}"
        for name, value in pots
    )
    lines = [
        "GET /private/x HTTP/1.1",
        f"Host: {scene.house.host}",
        *[f"Cookie: {jar}"] * headers,
        "Accept: a/b",
        "",
        "",
    ]
    scene.send("\r\n".join(lines).encode("latin-1"))
    assert scene.upstream.seen == []


@given(
    pieces=st.lists(
        st.sampled_from(
            ["HOST", "other", ".", "..", ":", ":80", ":0", "@", "/", "%2e", "%00", " ", "\t", "http://", "*", "[::1]"]
        ),
        min_size=1,
        max_size=5,
    ),
    where=st.sampled_from(["header", "line", "both"]),
)  # fmt: skip
@bounded
def test_no_spelling_of_a_host_reaches_what_is_private(scene: Scene, pieces: list[str], where: str) -> None:
    scene.upstream.seen.clear()
    spelt = "".join(scene.house.host if piece == "HOST" else piece for piece in pieces)
    target = f"http://{spelt}/private/x" if where != "header" else "/private/x"
    host = spelt if where != "line" else scene.theirs.host
    raw = f"GET {target} HTTP/1.1\r\nHost: {host}\r\nCookie: freehold_app={scene.theirs.token()}\r\n\r\n"
    scene.send(raw.encode("latin-1"))
    assert scene.upstream.seen == []
