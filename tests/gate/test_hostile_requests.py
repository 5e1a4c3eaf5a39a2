"""Spellings of hosts, paths, headers and cookies that try to be taken for something else. Upstreams are the witness."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provider.gate.appsession import sign
from tests.gate.conftest import Gate, keys
from tests.gate.tenancy import House, new_house, settle
from tests.gate.wire import Upstream

bounded = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
JSON = ("Accept", "application/json")


@dataclass
class Scene:
    gate: Gate
    house: House
    upstream: Upstream
    side: Upstream


@pytest.fixture
def scene(gate: Gate, upstreams: Callable[[str], Upstream]) -> Scene:
    house, upstream, side = new_house(), upstreams("main"), upstreams("side")
    house.add("", upstream, ["/open/*"])
    house.add("api", side, ["/*"])
    settle(gate, house)
    return Scene(gate, house, upstream, side)


def test_a_host_may_have_capitals_and_a_port(scene: Scene) -> None:
    for host in (scene.house.host.upper(), f"{scene.house.host}:8000", scene.house.host.title() + ":1"):
        assert scene.gate.http.ask(host, "/p", scene.house.cookie()).status == 200


@pytest.mark.parametrize(
    "spell", ["{}.", ".{}", "x.{}", "{}.evil", "{}:80:80", "{},{}", "{} ", "a@{}", "[{}]", "{}/", ""]
)
def test_any_other_host_is_nobodys(scene: Scene, spell: str) -> None:
    host = spell.replace("{}", scene.house.host)
    reply = scene.gate.http.ask(host, "/open/x", scene.house.cookie())
    assert scene.upstream.seen == [] if host.strip() != scene.house.host else reply.status == 200


def test_two_hosts_are_refused(scene: Scene) -> None:
    extra = ("Host", scene.house.host)
    assert scene.gate.http.ask("other.apps.localhost", "/open/x", extra).status == 400
    assert scene.gate.http.ask(scene.house.host, "/open/x", ("Host", "other.apps.localhost")).status == 400


def test_an_address_in_the_first_line_must_agree_with_the_host(scene: Scene) -> None:
    host = scene.house.host
    assert scene.gate.http.ask(host, "http://other.apps.localhost/open/x").status == 400
    assert scene.gate.http.ask("other.apps.localhost", f"http://{host}/open/x").status in (400, 404)
    assert scene.upstream.seen == []
    assert scene.gate.http.ask(host, f"http://{host}/open/x?y=1").status == 200
    assert scene.upstream.last.path == "/open/x?y=1"


PIECES = st.sampled_from(
    ["open", "private", "api", "..", ".", "", "%2e%2e", "%2e", "%2F", "%5c", "\\", ";", ";a=b", "%00", "%252e", "%6fpen",
     "__space", "%5f_space", "__SPACE", "__space;x", "%255f_space", "actions", "v0", "%c0%ae", "*", "%"]
)  # fmt: skip


@given(pieces=st.lists(PIECES, min_size=1, max_size=5), glue=st.sampled_from(["/", "//", "/./", "%2f"]))
@bounded
def test_however_it_is_spelt_a_private_path_stays_private(scene: Scene, pieces: list[str], glue: str) -> None:
    scene.upstream.seen.clear(), scene.side.seen.clear()
    scene.gate.http.ask(scene.house.host, "/" + glue.join(pieces), JSON)
    for seen in scene.upstream.seen:
        assert seen.path.startswith("/open/")
        assert not any(odd in seen.path.lower() for odd in ("..", "//", "%2", "%5c", "\\", ";", "%00"))
    assert not any(_reserved(seen.path) for seen in (*scene.upstream.seen, *scene.side.seen))


@given(pieces=st.lists(PIECES, min_size=1, max_size=5), glue=st.sampled_from(["/", "//", "/./", "%2f"]))
@bounded
def test_however_it_is_spelt_no_app_gets_a_reserved_path_even_from_its_owner(
    scene: Scene, pieces: list[str], glue: str
) -> None:
    scene.upstream.seen.clear(), scene.side.seen.clear()
    for path in (glue.join(["/__space", *pieces]), "/api/__space" + glue + glue.join(pieces), "/" + glue.join(pieces)):
        scene.gate.http.ask(scene.house.host, path, scene.house.cookie())
    assert not any(_reserved(seen.path) for seen in (*scene.upstream.seen, *scene.side.seen))


def _reserved(path: str) -> bool:
    """As the most lenient server would read it: decoded twice, slashes folded, dots resolved, capitals ignored."""
    plain = unquote(unquote(path.partition("?")[0])).replace("\\", "/").lower()
    segments: list[str] = []
    for segment in (part.partition(";")[0] for part in plain.split("/")):
        if segment == "..":
            segments = segments[:-1]
        elif segment not in ("", "."):
            segments.append(segment)
    return segments[:1] == ["__space"]


FORGED = [
    "X-Freehold-User", "X_Freehold_User", "X-Freehold_Email", "x_freehold-role", "X-Freehold-Static", "X-Forwarded-For",
    "X_Forwarded_Proto", "X-Forwarded-Host", "Forwarded", "X-User", "X_User", "Remote-User", "Remote_User", "X-Upstream",
    "X_Upstream", "X-Space-App-Key", "X_Space_App_Key", "X-Gate-Secret", "Proxy", "X-Real-IP",
    "X.Freehold.User", "X-Scheme", "X_Scheme",
]  # fmt: skip


@pytest.mark.parametrize("who", ["owner", "nobody"])
def test_nobody_outside_speaks_in_the_gates_name(scene: Scene, who: str) -> None:
    cookie = (scene.house.cookie(),) if who == "owner" else ()
    forged = [(name, "forged") for name in FORGED]
    assert scene.gate.http.ask(scene.house.host, "/open/x", *cookie, *forged, ("X-Kept", "yes")).status == 200
    assert not [value for _, value in scene.upstream.last.headers if value == "forged"]
    assert scene.upstream.last.header("x-kept") == "yes"
    gates = {name for name in scene.upstream.last.names if name.startswith("x-freehold")}
    assert gates == ({"x-freehold-user", "x-freehold-email", "x-freehold-role"} if who == "owner" else set())


def test_an_app_is_told_when_a_request_came_without_tls(scene: Scene) -> None:
    assert scene.gate.http.ask(scene.house.host, "/open/x").status == 200
    assert scene.upstream.last.header("x-scheme") == "http"
    assert scene.gate.http.ask(scene.house.host, "/p", scene.house.cookie()).status == 200
    assert scene.upstream.last.header("x-scheme") == "http"
    assert scene.gate.https.ask(scene.house.host, "/open/x", ("X-Scheme", "http")).status == 200
    assert scene.upstream.last.header("x-scheme") is None


def test_a_connection_header_cannot_drop_what_the_gate_says(scene: Scene) -> None:
    scene.gate.http.ask(scene.house.host, "/p", scene.house.cookie(), ("Connection", "close, x-freehold-user"))
    assert "x-freehold-user" not in (scene.upstream.last.header("connection") or "")
    assert scene.upstream.last.header("x-freehold-user") == scene.house.owner.id


@pytest.mark.parametrize(
    ("sent", "left"),
    [
        ("a=1; freehold_app={}; b=2", "a=1; b=2"),
        ("freehold_app={}", None),
        ("freehold_app={}; xfreehold_app=1", "xfreehold_app=1"),
        ("a=1;freehold_app={};  freehold_nonce_ab=x; __Host-freehold_app=y;b=2,3", "a=1;b=2,3"),
        ("theme=freehold_app; freehold_app={}", "theme=freehold_app"),
    ],
)
def test_the_gates_cookies_never_reach_an_app(scene: Scene, sent: str, left: str | None) -> None:
    cookie = ("Cookie", sent.replace("{}", scene.house.token()))
    assert scene.gate.http.ask(scene.house.host, "/p", cookie).status == 200
    assert scene.upstream.last.header("cookie") == left


def test_an_app_cannot_plant_a_session(scene: Scene) -> None:
    planted = scene.gate.http.ask(scene.house.host, "/p", scene.house.cookie()).all("set-cookie")
    assert planted == ["theme=dark; Path=/", "refused=; Max-Age=0"]


@pytest.mark.parametrize(
    "changes",
    [
        {"host": "localhost-other.apps.localhost"},
        {"ins": "insother"},
        {"exp": 1},
        {"sid": ""},
        {"sub": ""},
    ],
    ids=str,
)
def test_a_session_for_something_else_is_none(scene: Scene, changes: dict[str, object]) -> None:
    assert scene.gate.http.ask(scene.house.host, "/p", scene.house.cookie(**changes), JSON).status == 401
    assert scene.upstream.seen == []


def test_a_session_of_an_unknown_or_wrong_key_is_none_and_every_current_key_counts(scene: Scene) -> None:
    (kid, secret), *_ = keys().items()
    for forged in ({"other": secret}, {kid: "wrong"}):
        cookie = ("Cookie", f"freehold_app={sign(scene.house.session, forged)}")
        assert scene.gate.http.ask(scene.house.host, "/p", cookie, JSON).status == 401
    signed, _, mac = scene.house.token().rpartition("~")
    forged = (f"{signed}~", signed, f"{signed}~{mac}~", f"~{signed}~{mac}", f"{signed}~{mac}x", "~" * 9, "x" * 9000)
    for token in forged:
        assert scene.gate.http.ask(scene.house.host, "/p", ("Cookie", f"freehold_app={token}"), JSON).status in (
            400,
            401,
        )
    assert scene.upstream.seen == []


def test_two_session_cookies_end_in_one_clean_sign_in_and_never_in_a_loop(scene: Scene) -> None:
    both = f"freehold_app={scene.house.token()}; freehold_app=planted"
    page = ("Accept", "text/html")
    first = scene.gate.http.ask(scene.house.host, "/a/b", ("Cookie", both), page)
    assert first.status == 302 and "/gate/enter?" in first.header("location")
    cleared = [cookie for cookie in first.all("set-cookie") if cookie.startswith("freehold_app=;")]
    assert any("Path=/a/b;" in cookie and "Domain=apps.localhost" in cookie for cookie in cleared)
    assert any("Path=/;" in cookie and "Domain" not in cookie for cookie in cleared)
    again = scene.gate.http.ask(scene.house.host, "/a/b", ("Cookie", f"{both}; freehold_tidy=1"), page)
    assert (again.status, again.header("clear-site-data")) == (400, '"cookies"')
    assert scene.upstream.seen == []


@pytest.mark.parametrize(
    ("headers", "method", "enters"),
    [
        ({"Origin": "self"}, "POST", True),
        ({"Origin": "http://localhost-other.apps.localhost"}, "POST", False),
        ({"Origin": "null"}, "POST", False),
        ({"Origin": "null", "Sec-Fetch-Site": "same-origin"}, "POST", True),
        ({"Origin": "null", "Sec-Fetch-Site": "cross-site"}, "POST", False),
        ({"Origin": "null", "Sec-Fetch-Site": "same-origin", "Upgrade": "websocket"}, "GET", False),
        ({"Origin": "self, self"}, "POST", False),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}, "GET", False),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, "GET", False),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, "GET", False),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, "POST", False),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, "GET", True),
        ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}, "GET", True),
        ({"Upgrade": "websocket"}, "GET", False),
        ({"Upgrade": "websocket", "Origin": "http://localhost-other.apps.localhost"}, "GET", False),
    ],
    ids=json.dumps,
)
def test_a_session_counts_only_for_the_app_itself(
    scene: Scene, headers: dict[str, str], method: str, enters: bool
) -> None:
    own = f"http://{scene.house.host}"
    sent = [(name, value.replace("self", own)) for name, value in headers.items()]
    reply = scene.gate.http.ask(scene.house.host, "/p", scene.house.cookie(), *sent, JSON, method=method)
    assert reply.status == (200 if enters else 401)
    assert bool(scene.upstream.seen) is enters


@pytest.mark.parametrize(
    "path", ["/metrics", "/gate/decide", "//gate/decide", "/gate/%64ecide", "/gate//decide", "/METRICS"]
)
def test_inner_addresses_are_nothing_from_outside(gate: Gate, path: str) -> None:
    secret = ("X-Gate-Secret", gate.env["FREEHOLD_GATE_SECRET"])
    for host in ("freehold.localhost", "FREEHOLD.localhost:8000"):
        assert gate.http.ask(host, path, secret).status == 404
