"""Every operator with every kind of operand against every kind of value, and all pages of it: as the model has it."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from tenants.data_server import bases, database, documents, queries, schema
from tenants.data_server.database import Transaction
from tenants.data_server.registry import Quota
from tests.data_server import model
from tests.data_server.test_differential import KEYS, NUMBERS, TEXTS

LISTS = [[], [1], [True], ["a"], ["ab", "ü"], ['"', "\\"], ["\ud800", "ü"], ["a", 1], [["a"]], [1.0], [10**30]]
OBJECTS = [{}, {"n": 1}, {"n": 1.0}, {"n": True}, {"n": "a"}, {"a": 1, "b": None}]
VALUES = [*TEXTS, *NUMBERS, True, False, None, *LISTS, *OBJECTS, "true", "[1]", '["a"]', "{}", '{"n":1}']
OPERATORS = sorted(model.OPERATORS)
PATHS = ["n", "m.n", "é", "odd name", 'q"', "b\\", "zz.zz"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[apsw.Connection, model.Base]]:
    """One item per value, at each path, and one that has none of them."""
    db = database.connect(tmp_path_factory.mktemp("store") / "data.db")
    schema.migrate(db, schema.COLLECTION)
    items = [
        {"key": f"{number:03}", **_at(path, value)}
        for number, (path, value) in enumerate(itertools.product(PATHS, VALUES))
    ]
    base = model.Base()
    with db:
        transaction = Transaction(db, Quota())
        for item in [{"key": "none of it"}, *items]:
            bases.store(transaction, bases.base_id(db, "b"), documents.document(item))
            base.items[item["key"]] = item
        transaction.settle()
    yield db, base
    db.close()


def _at(path: str, value: Any) -> dict[str, Any]:
    first, _, rest = path.partition(".")
    return {first: _at(rest, value) if rest else value}


def found(db: apsw.Connection, query: list[Any], **more: Any) -> Any:
    page = bases.run_query(db, "b", queries.parse({"query": query, **more}), lambda: model.NOW)
    return [documents.parse_json(text.encode())["key"] for text in page.items], page.last


def expected(base: model.Base, query: list[Any]) -> list[str]:
    status, body = base.query(query, 1000, None, False)
    assert status == 200, query
    return [item["key"] for item in body["items"]]


@pytest.mark.parametrize("operator", OPERATORS)
def test_an_operator_finds_what_the_model_finds(store: tuple[apsw.Connection, model.Base], operator: str) -> None:
    db, base = store
    operands: list[Any] = VALUES
    if operator == "r":
        scalars = [value for value in VALUES if not isinstance(value, list | dict)]
        operands = [[low, high] for low, high in itertools.product(scalars[::3], scalars[::2])]
    elif operator == "pfx":
        operands = [value for value in VALUES if isinstance(value, str)]
    for number, operand in enumerate(operands):
        path = PATHS[number % len(PATHS)]
        for name in {path, "n"}:
            query = [{f"{name}?{operator}" if operator else name: operand}]
            assert found(db, query) == (expected(base, query), None), query


@pytest.mark.parametrize("operator", ["", "pfx", "r", "lt", "gt", "lte", "gte"])
def test_conditions_on_keys_find_what_the_model_finds(tmp_path: Path, operator: str) -> None:
    db = database.connect(tmp_path / "data.db")
    schema.migrate(db, schema.COLLECTION)
    keys = [*KEYS, *(key + "a" for key in KEYS), "\ud7ff", "\ue000", "\U0010ffff", "\U0010ffffa", "\ud7ffa"]
    base = model.Base()
    with db:
        for key in keys:
            bases.store(Transaction(db, Quota()), bases.base_id(db, "b"), documents.document({"key": key, "n": 1}))
            base.items[key] = {"key": key, "n": 1}
    asked = [*keys, "", "\ud800", "a\ud800", "\udfff"]
    for operand in itertools.product(asked, asked[::3]) if operator == "r" else asked:
        query = [{f"key?{operator}" if operator else "key": list(operand) if operator == "r" else operand, "n": 1}]
        assert found(db, query) == (expected(base, query), None), query
    db.close()


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("whole", [0, 10**6])
def test_pages_join_to_the_whole(
    store: tuple[apsw.Connection, model.Base], monkeypatch: pytest.MonkeyPatch, descending: bool, whole: int
) -> None:
    """Also where a base is read in slices, as great ones are."""
    monkeypatch.setattr(bases, "_WHOLE", whole)
    monkeypatch.setattr(bases, "_FIRST_SLICE", 7)
    db, base = store
    query = [{"n?gte": 0}, {"n?contains": "a"}, {"m.n": None}]
    keys, last, sort = [], None, "desc" if descending else "asc"
    while True:
        page, last = found(db, query, limit=3, last=last, sort=sort)
        keys += page
        if last is None:
            break
    assert keys == sorted(expected(base, query), reverse=descending)


def test_a_scan_that_takes_long_ends_with_where_it_was(
    store: tuple[apsw.Connection, model.Base], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("_WHOLE", 0), ("_FIRST_SLICE", 100), ("_SCAN_S", -1.0)):
        monkeypatch.setattr(bases, name, value)
    db, base = store
    keys, last, empty = [], None, 0
    while True:
        page, last = found(db, [{"zz.zz": True}], last=last)
        keys += page
        empty += not page
        if last is None:
            break
    assert keys == expected(base, [{"zz.zz": True}])
    assert empty
