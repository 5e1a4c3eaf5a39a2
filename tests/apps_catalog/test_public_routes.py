"""Which paths are public: exact, with stars, never by accident."""

import re
import time
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps_catalog.public_routes import canonical_path, matches_public


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/*", "/"),
        ("/*", "/a/b"),
        ("/share/*", "/share/x/y"),
        ("/*.png", "/a/b.png"),
        ("/api/rpc/name*", "/api/rpc/name"),
        ("/a/*/b", "/a/x/y/b"),
        ("/a/*/b", "/a//b".replace("//", "/x/")),
        ("share/*", "/share/x"),
        ("/x ", "/x"),
        ("*", "/anything"),
        ("/a*b*c", "/aXbXbc"),
    ],
)
def test_a_pattern_opens_what_it_names(pattern: str, path: str) -> None:
    assert matches_public([pattern], path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/public/*", "/public"),
        ("/x", "/x/"),
        ("/x", "/X"),
        ("/a*a", "/a"),
        ("/(?!(admin|api))*", "/hello"),
        ("/(?!(admin|api))*", "/(?!(admin|api))x"),
        ("/.*", "/x"),
        ("/share/(.*)", "/share/x"),
        ("", "/"),
        (" ", "/"),
        ("/*", "/__space"),
        ("/*", "/__space/v0/actions"),
        ("/*", "no-slash"),
        ("/a*b*c", "/aXcXb"),
    ],
)
def test_a_pattern_opens_nothing_else(pattern: str, path: str) -> None:
    assert not matches_public([pattern], path)


@pytest.mark.parametrize("raw", ["/", "/a/b.png", "/caf%C3%A9", "/a%20b", "/a/b/", "/@me/x:y", "/a..b/...", "/a%40b"])
def test_a_canonical_spelling_is_decoded(raw: str) -> None:
    assert canonical_path(raw) == unquote(raw)


@pytest.mark.parametrize(
    "raw",
    [
        *("", "a", "//", "/a//b", "/./a", "/a/..", "/a/../b", "/.", "/a/."),
        *("/%2e%2e/a", "/a%2Fb", "/a%2fb", "/a%5Cb", "/a\\b", "/a;b", "/a%3Bb", "/%61", "/a%00", "/a%0Ab", "/a%7F"),
        *(
            "/a%",
            "/a%2",
            "/a%zz",
            "/a%C3",
            "/a%FF",
            "/a%C0%AF",
            "/a%25",
            "/a%252e",
            "/é",
            "/a b",
            "/a?b",
            "/a#b",
            "/a%C2%85",
        ),
        *("/a\n", "/a\x00", "/a<b", '/a"b', "/a%ED%A0%80", "/a%3Fb"),
    ],
)
def test_any_other_spelling_is_not(raw: str) -> None:
    assert canonical_path(raw) is None


@given(st.lists(st.sampled_from(["/", "a", "b", "*", ".", "/a"]), max_size=6), st.text("/ab.", max_size=10))
def test_stars_mean_what_a_regular_expression_would(parts: list[str], rest: str) -> None:
    pattern, path = "/" + "".join(parts), "/" + rest
    expected = re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), path) is not None
    assert matches_public([pattern], path) == expected


@given(st.text(max_size=30))
def test_what_is_canonical_is_spelled_in_one_way(raw: str) -> None:
    path = canonical_path(raw)
    if path is not None:
        assert not {"", ".", ".."} & set(path.split("/")[1:-1])
        assert canonical_path(quote(path, safe="/!$&'()*+,=:@")) == path


def test_matching_is_fast_for_any_number_of_stars() -> None:
    start = time.perf_counter()
    matches_public(["/" + "a*" * 200 + "b"], "/" + "a" * 8000)
    assert time.perf_counter() - start < 0.2
