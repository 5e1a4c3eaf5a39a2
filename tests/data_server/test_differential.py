"""Random operations against the server and against a model written from the reference: no difference."""

import itertools
import json
import urllib.parse
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.data_server import model
from tests.data_server.running import Data, Server, open_collection

EXAMPLES, OPERATIONS = 100, 40
KEYS = ["a", "b", "B", "a/b", "a//b", "..", "%", "%2F", "ü", "key with space", "\x00", "日本", "#?&", "𝒳", "\uffff"]
NAMES = ["n", "s", "l", "m", "é"]
PATHS = [*NAMES, "m.n", "m.s", "m.m.n", "m.l", "key", "zz", "__expires"]
TEXTS = [
    "",
    "a",
    "ab",
    "b",
    "ü",
    "üb",
    '"',
    "\\",
    "a\x00b",
    "\ud800",
    "a\ud800b",
    "\uffff",
    "𝒳",
    "[]",
    "null",
    "1",
    "\U0010ffff",
]
NUMBERS = [
    0,
    1,
    -1,
    1.0,
    1.5,
    2,
    10**15,
    2**53,
    2**53 + 1,
    float(2**53),
    2**63,
    2**63 + 1,
    -(2**63),
    -(2**63) - 1,
    10**30,
    1e300,
    -0.5,
]

texts = st.sampled_from(TEXTS) | st.text(alphabet='ab\u00fc\u0000"\\', max_size=3)
numbers = st.sampled_from(NUMBERS) | st.integers(-3, 3)
scalars = texts | numbers | st.booleans() | st.none()
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=6,
)
keys = st.sampled_from(KEYS)
expiries = st.sampled_from([1, 4_102_444_800, 4_102_444_800.5])


@st.composite
def items(draw: st.DrawFn) -> Any:
    item = draw(st.dictionaries(st.sampled_from(NAMES), values, max_size=4)) | {"key": draw(keys)}
    return item | draw(st.sampled_from([{}, {}, {}, {"__expires": draw(expiries)}]))


@st.composite
def odd_items(draw: st.DrawFn) -> Any:
    item = draw(items())
    change = (
        {"": 1},
        {"m": {"n": {"": 1}}},
        {"key": 7},
        {"key": ""},
        {"key": "\ud800"},
        {"__expires": "soon"},
        {"__expires": True},
    )
    return draw(st.sampled_from([item | one for one in change] + [7, None, [item]]))


operators = st.sampled_from(
    ["", "ne", "lt", "gt", "lte", "gte", "<", ">", "<=", ">=", "pfx", "r", "contains", "not_contains", "!contains"]
)


@st.composite
def conditions(draw: st.DrawFn) -> tuple[str, Any]:
    path = draw(st.sampled_from(PATHS))
    operator = draw(operators | st.sampled_from(["", "nope", "?"])) if draw(st.integers(0, 9)) == 0 else draw(operators)
    operand: Any = draw(keys if path == "key" else values)
    if operator == "r":
        operand = draw(st.lists(keys if path == "key" else scalars, min_size=2, max_size=2))
    elif operator in ("pfx", "contains", "not_contains", "!contains") and draw(st.integers(0, 5)):
        operand = draw(texts)
    elif operator and path != "key" and draw(st.integers(0, 5)):
        operand = draw(texts | numbers)
    return (f"{path}?{operator}" if operator else path), operand


queries = st.lists(st.lists(conditions(), max_size=2).map(dict), max_size=2)
changes = st.fixed_dictionaries(
    {
        "set": st.dictionaries(st.sampled_from(PATHS), values, max_size=2),
        "increment": st.dictionaries(st.sampled_from(PATHS), numbers, max_size=1),
        "append": st.dictionaries(st.sampled_from(PATHS), st.lists(values, max_size=2), max_size=1),
        "prepend": st.dictionaries(st.sampled_from(PATHS), st.lists(values, max_size=2), max_size=1),
        "delete": st.lists(st.sampled_from(PATHS), max_size=1),
    }
)
operations = st.one_of(
    st.tuples(st.just("put"), st.lists(items(), min_size=1, max_size=4)),
    st.tuples(st.just("put"), st.lists(items(), min_size=1, max_size=4)),
    st.tuples(st.just("put"), st.lists(items() | odd_items(), max_size=3)),
    st.tuples(st.just("insert"), items() | odd_items()),
    st.tuples(st.just("get"), keys),
    st.tuples(st.just("delete"), keys),
    st.tuples(st.just("update"), keys, changes),
    st.tuples(st.just("query"), queries, st.integers(0, 4), st.none() | keys, st.booleans()),
    st.tuples(st.just("query"), queries, st.integers(0, 4), st.none() | keys, st.booleans()),
)
# Shrinking takes minutes where each attempt is dozens of requests; the operation at fault is in the message.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
numbered = itertools.count()


@pytest.fixture(scope="module")
def collection(server: Server) -> Data:
    return open_collection(server, "differential")


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES)
@given(st.lists(operations, min_size=OPERATIONS // 2, max_size=OPERATIONS))
def test_no_random_operation_answers_otherwise_than_the_model(collection: Data, operations: list[Any]) -> None:
    base, name = model.Base(), f"base{next(numbered)}"
    for operation, *arguments in operations:
        expected = getattr(base, operation)(*arguments)
        assert shown(ask(collection, name, operation, *arguments)) == told(expected), (operation, arguments)
    everything = base.query([], 1000, None, False)
    assert shown(ask(collection, name, "query", [], 1000, None, False)) == told(everything)


def ask(data: Data, name: str, operation: str, *arguments: Any) -> tuple[int, Any]:
    method, path, body = {
        "put": lambda items: ("PUT", "items", {"items": items}),
        "insert": lambda item: ("POST", "items", {"item": item}),
        "get": lambda key: ("GET", f"items/{quoted(key)}", None),
        "delete": lambda key: ("DELETE", f"items/{quoted(key)}", None),
        "update": lambda key, change: ("PATCH", f"items/{quoted(key)}", change),
        "query": lambda query, limit, last, descending: (
            "POST",
            "query",
            {"query": query, "limit": limit, "last": last, "sort": "desc" if descending else ""},
        ),
    }[operation](*arguments)
    content = None if body is None else json.dumps(body).encode()
    answer = data.base(method, path, name=name, content=content)
    assert answer.headers["content-type"] == "application/json"
    return answer.status_code, answer.json()


def quoted(key: str) -> str:
    """Dots too, which the client at hand would take for a way up."""
    return urllib.parse.quote(key, safe="").replace(".", "%2E")


def shown(answer: tuple[int, Any]) -> tuple[int, str]:
    """Of refusals the status and whether it is the one text that is part of the contract."""
    status, body = answer
    if isinstance(body, dict) and "errors" in body:
        return status, body["errors"][0] if body["errors"][0] == "Bad query" else model.text(None)
    return status, model.text(body)


def told(expected: tuple[int, Any]) -> tuple[int, str]:
    return expected[0], "Bad query" if expected[1] == "Bad query" else model.text(expected[1])
