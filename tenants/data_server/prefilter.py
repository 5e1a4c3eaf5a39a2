"""A query as an SQL condition that lets pass at least what matches: SQLite discards the rest of 100,000 items in C.

`queries.matches` decides about what passes. Where SQLite's idea of a value differs from JSON's (true is 1, big integers are
floats, text of a list is its JSON) the condition is wider, never narrower.
"""

import json
from collections.abc import Iterator
from typing import Any

from tenants.data_server.queries import Condition, Op, Query, orderable
from tenants.data_server.updates import is_number

_EXACT = 2**53
_ALL = "1"
_SIGNS = {Op.LT: "<", Op.GT: ">", Op.LTE: "<=", Op.GTE: ">="}
_WIDER = {"<": "<=", ">": ">="}

Sql = tuple[str, list[Any]]


def sql_of(query: Query) -> Sql:
    """Over a column `doc` in JSONB."""
    texts, values = [], []
    for alternative in query.alternatives:
        parts = [_of_condition(condition) for condition in alternative]
        texts.append(" AND ".join(f"({text})" for text, _ in parts) or _ALL)
        values += [value for _, some in parts for value in some]
    return " OR ".join(f"({text})" for text in texts), values


def sql_of_key(query: Query) -> Sql:
    """Exactly the condition on the key, and where the page begins."""
    parts = [*_of_key(query.key)]
    if query.last is not None:
        parts.append((f"key {'<' if query.descending else '>'} ?", [query.last]))
    return " AND ".join(text for text, _ in parts) or _ALL, [value for _, some in parts for value in some]


def successor(prefix: str) -> str | None:
    """The least text greater than all that begin with `prefix`; None where there is none."""
    trimmed = prefix.rstrip("\U0010ffff")
    if not trimmed:
        return None
    after = ord(trimmed[-1]) + 1
    return trimmed[:-1] + chr(0xE000 if after == 0xD800 else after)  # half a pair cannot be bound


def _of_key(condition: Condition | None) -> Iterator[Sql]:
    if condition is None:
        return
    operand = condition.operand
    if not all(_bindable(text) for text in (operand if condition.op is Op.RANGE else [operand])):
        # Keys are whole characters: none equals or begins with half a pair, and the order goes by what can be compared.
        yield from _of_key_with_halves(condition)
    elif condition.op is Op.PREFIX:
        end = successor(operand)
        yield "key >= ?", [operand]
        if end is not None:
            yield "key < ?", [end]
    elif condition.op is Op.RANGE:
        yield "key BETWEEN ? AND ?", list(operand)
    else:
        yield f"key {_SIGNS.get(condition.op, '=')} ?", [operand]


def _of_key_with_halves(condition: Condition) -> Iterator[Sql]:
    if condition.op in (Op.EQ, Op.PREFIX):
        yield "0", []
        return
    texts = condition.operand if condition.op is Op.RANGE else [condition.operand]
    signs = [">=", "<="] if condition.op is Op.RANGE else [_SIGNS[condition.op]]
    for sign, text in zip(signs, texts, strict=True):
        yield f"CAST(key AS BLOB) {sign} ?", [text.encode("utf-8", "surrogatepass")]


def _bindable(value: Any) -> bool:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return False
    return True


def _bound(value: Any) -> Any:
    """SQLite has integers of 64 bits; greater ones are floats there, in the item as in the query."""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        try:
            return float(value)
        except OverflowError:
            return float("inf") if value > 0 else float("-inf")
    return value


def _path(condition: Condition) -> str | None:
    """None: a name that has no exact spelling in a JSON path."""
    if any('"' in name or "\\" in name or not name.isprintable() or not _bindable(name) for name in condition.path):
        return None
    return "$" + "".join(f'."{name}"' for name in condition.path)


def _of_condition(condition: Condition) -> Sql:
    path = _path(condition)
    operand = condition.operand
    operands = operand if condition.op is Op.RANGE else [operand]
    if path is None or not all(_bindable(one) for one in operands):
        return _ALL, []
    match condition.op:
        case Op.EQ:
            return _equal(path, operand)
        case Op.NE:
            return _not_equal(path, operand)
        case Op.PREFIX:
            # Not by substr(), which ends at a NUL.
            end = successor(operand)
            upto = "json_extract(doc, ?) BETWEEN ? AND ?" if end is not None else "json_extract(doc, ?) >= ?"
            return upto, [path, operand] if end is None else [path, operand, end]
        case Op.RANGE:
            low, high = operand
            if not orderable(low, high):
                return "0", []
            # One look at the value; that a list's text may lie between two texts does not matter here.
            return "json_extract(doc, ?) BETWEEN ? AND ?", [path, _bound(low), _bound(high)]
        case Op.CONTAINS:
            return _contains(path, operand)
        case Op.NOT_CONTAINS:
            if not isinstance(operand, str):
                return _ALL, []
            return "(json_type(doc, ?) IS NOT 'text' OR instr(json_extract(doc, ?), ?) = 0)", [path, path, operand]
    return _ordered(path, _SIGNS[condition.op], operand)


def _equal(path: str, operand: Any) -> Sql:
    if isinstance(operand, bool) or operand is None or isinstance(operand, list | dict):
        return "json_type(doc, ?) = ?", [path, _type(operand)]
    return "json_extract(doc, ?) = ?", [path, _bound(operand)]


def _not_equal(path: str, operand: Any) -> Sql:
    if isinstance(operand, bool) or operand is None:
        return "json_type(doc, ?) IS NOT ?", [path, _type(operand)]
    if isinstance(operand, str):
        # The text of a list or an object is its JSON.
        return "(json_extract(doc, ?) IS NOT ? OR json_type(doc, ?) IS NOT 'text')", [path, operand, path]
    if is_number(operand) and abs(operand) < _EXACT:
        numbers = "('integer', 'real')"
        return f"(json_extract(doc, ?) IS NOT ? OR json_type(doc, ?) NOT IN {numbers})", [path, operand, path]
    return _ALL, []


def _type(operand: Any) -> str:
    if operand is None:
        return "null"
    if isinstance(operand, bool):
        return "true" if operand else "false"
    return "array" if isinstance(operand, list) else "object"


def _ordered(path: str, sign: str, operand: Any) -> Sql:
    if isinstance(operand, str):
        return f"(json_extract(doc, ?) {sign} ? AND json_type(doc, ?) = 'text')", [path, operand, path]
    if not is_number(operand):
        return "0", []
    if abs(operand) >= _EXACT:
        sign = _WIDER.get(sign, sign)
    if sign.startswith(">"):
        # Text comes after all numbers in SQLite.
        return f"(json_extract(doc, ?) {sign} ? AND json_extract(doc, ?) < '')", [path, _bound(operand), path]
    return f"json_extract(doc, ?) {sign} ?", [path, _bound(operand)]


def _contains(path: str, operand: Any) -> Sql:
    if not isinstance(operand, str):
        return "0", []
    if operand.isascii() and operand.isprintable() and json.dumps(operand) == f'"{operand}"':
        return "instr(json_extract(doc, ?), ?) > 0", [path, operand]
    # In the JSON of a list the operand may be spelt with escapes.
    return "(instr(json_extract(doc, ?), ?) > 0 OR json_type(doc, ?) = 'array')", [path, operand, path]
