"""Public routes, decided in the proxy: as the catalog's own rule says, whatever the patterns and paths are."""

import signal
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from apps_catalog.public_routes import canonical_path, matches_public
from tests.gate.conftest import Gate, wait_until
from tests.gate.tenancy import House, new_house, settle
from tests.gate.wire import Upstream

JSON = ("Accept", "application/json")
bounded = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
# By mount, "" is the primary micro. Some the proxy cannot hold against a path and leaves to the provider.
PATTERNS: dict[str, list[str]] = {
    "": ["/exact", "/share/*", "/*.png", "/a/*/b*c", "bare/*", " /blank "],
    "all": ["/*"],
    "root": ["/"],
    "odd": ["/ž/*", "/(?!(admin|api))*", "/sp ace/*", "/%41", "", "*x"],
    "stars": ["/**a**b*", "/q*q*q"],
    "long": [f"/{number}/{'x' * 40}/*" for number in range(200)],
    "none": [],
}


@dataclass
class Scene:
    gate: Gate
    house: House
    upstream: Upstream


@pytest.fixture(scope="module")
def scene(running_gate: Gate) -> Iterator[Scene]:
    running_gate.make_whole()
    house, upstream = new_house(), Upstream("main")
    for mount, patterns in PATTERNS.items():
        house.add(mount, upstream, patterns)
    settle(running_gate, house)
    place = f"{house.instance.id}/all"
    wait_until(lambda: running_gate.entry("public", place), "the routes are known")
    yield Scene(running_gate, house, upstream)
    upstream.close()


def _is_public(target: str) -> bool:
    segment, _, rest = target[1:].partition("/")
    mount, path = (segment, f"/{rest}") if segment in PATTERNS and segment else ("", target)
    canonical = canonical_path(path)
    return canonical is not None and matches_public(PATTERNS[mount], canonical)


SEGMENTS = st.sampled_from(
    ["exact", "share", "x.png", "a", "b", "bc", "bXc", "q", "qq", "qqq", "bare", "blank", "z", "..", ".", "", "%41", "A",
     "%C5%BE", "%20", "sp%20ace", "__space", "__spaces", "(?!", "*", "a*b", "0", "x" * 40, "all", "root", "-", "+", "~"]
)  # fmt: skip


@given(
    mount=st.sampled_from(list(PATTERNS)),
    segments=st.lists(SEGMENTS, max_size=4),
    end=st.sampled_from(["", "/", "?x=/.."]),
)
@example(mount="", segments=["share"], end="/")
@example(mount="stars", segments=["a", "b"], end="")
@example(mount="stars", segments=["qq"], end="")
@example(mount="all", segments=["__space", "v0"], end="")
@example(mount="odd", segments=["%C5%BE", "x"], end="")
@example(mount="long", segments=["0", "x" * 40], end="/")
@bounded
def test_a_path_is_open_to_everybody_exactly_where_a_pattern_says_so(
    scene: Scene, mount: str, segments: list[str], end: str
) -> None:
    scene.upstream.seen.clear()
    target = "/" + "/".join([mount, *segments] if mount else segments) + end
    reply = scene.gate.http.ask(scene.house.host, target, JSON)
    assert bool(scene.upstream.seen) is (_is_public(target.partition("?")[0]) and reply.status == 200)
    # What is open is never lost, except for what might be a reserved path or is ambiguous.
    if _is_public(target.partition("?")[0]) and not scene.upstream.seen:
        assert "__space" in target or "//" in target, (target, reply.status)


def test_public_pages_are_there_while_the_provider_is_not(scene: Scene) -> None:
    scene.gate.stop("live", signal.SIGKILL)
    try:
        for target, status in (
            ("/share/x", 200),
            ("/all/y", 200),
            ("/private", 502),
            ("/none/x", 502),
            ("/odd/%C5%BE/x", 502),
        ):
            assert scene.gate.http.ask(scene.house.host, target, JSON).status == status, target
        # A session that the proxy does not know might still be one: nobody is turned into a stranger.
        assert scene.gate.http.ask(scene.house.host, "/all/y", ("Cookie", "freehold_app=x"), JSON).status == 502
    finally:
        scene.gate.make_whole()
