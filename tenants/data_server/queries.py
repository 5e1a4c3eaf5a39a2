"""POST /query: what a query may say, and which items match it. Rules: base-api.md §6."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tenants.data_server.errors import BadQuery, Refused
from tenants.data_server.updates import is_number

LIMIT = 1000


class Op(StrEnum):
    EQ = ""
    NE = "ne"
    LT = "lt"
    GT = "gt"
    LTE = "lte"
    GTE = "gte"
    PREFIX = "pfx"
    RANGE = "r"
    CONTAINS = "contains"
    NOT_CONTAINS = "not_contains"


_ALIASES = {"<": Op.LT, ">": Op.GT, "<=": Op.LTE, ">=": Op.GTE, "!contains": Op.NOT_CONTAINS}
_OF_KEYS = {Op.EQ, Op.PREFIX, Op.RANGE, Op.LT, Op.GT, Op.LTE, Op.GTE}


@dataclass(frozen=True)
class Condition:
    """path: names from the item inwards."""

    path: tuple[str, ...]
    op: Op
    operand: Any


@dataclass(frozen=True)
class Query:
    """key: the one condition on keys, the same in all alternatives. Any alternative may match; () matches everything."""

    key: Condition | None
    alternatives: tuple[tuple[Condition, ...], ...]
    limit: int
    last: str | None
    descending: bool


def parse(body: Mapping[str, Any]) -> Query:
    """Raises BadQuery for a wrong condition, Refused for the rest."""
    key, alternatives = _alternatives(body.get("query"))
    sort = body.get("sort")
    if sort not in (None, "", "asc", "desc"):
        raise Refused("sort must be 'asc' or 'desc'")
    return Query(key, alternatives, _limit(body.get("limit")), _last(body.get("last")), sort == "desc")


def matches(query: Query, item: Mapping[str, Any]) -> bool:
    """By everything but the condition on the key."""
    return any(all(_holds(condition, item) for condition in one) for one in query.alternatives)


def equal(one: object, other: object) -> bool:
    """As JSON has it: 1 is 1.0 and never true."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(value, other[name]) for name, value in one.items())
    return one == other


def orderable(one: object, other: object) -> bool:
    """Numbers with numbers, text with text; Python orders text as UTF-8's bytes are ordered."""
    return (is_number(one) and is_number(other)) or (isinstance(one, str) and isinstance(other, str))


def _limit(found: object) -> int:
    if found is None or found == "":
        return LIMIT
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise Refused("limit must be a whole number from 1")
    return min(found, LIMIT)


def _last(found: object) -> str | None:
    if found is None or found == "":
        return None
    if not isinstance(found, str):
        raise Refused("last must be a string")
    try:
        found.encode()
    except UnicodeEncodeError:
        raise Refused("last is not valid Unicode") from None
    return found


def _alternatives(found: object) -> tuple[Condition | None, tuple[tuple[Condition, ...], ...]]:
    if found is None or found == "" or found == {} or found == []:
        return None, ((),)
    alternatives = [found] if isinstance(found, dict) else found
    if not isinstance(alternatives, list):
        raise BadQuery("query must be a list of objects")
    parsed = [_conditions(one) for one in alternatives]
    keys = [[one for one in conditions if one.path == ("key",)] for conditions in parsed]
    for of_one in keys:
        if len(of_one) > 1:
            raise BadQuery("key: only one condition on it is possible")
        if of_one != keys[0]:
            raise BadQuery("key: the condition on it must be the same in all alternatives")
    rest = tuple(tuple(one for one in conditions if one.path != ("key",)) for conditions in parsed)
    return (keys[0][0] if keys[0] else None), rest


def _conditions(found: object) -> list[Condition]:
    if not isinstance(found, dict):
        raise BadQuery("query must be a list of objects")
    return [_condition(name, operand) for name, operand in found.items()]


def _condition(name: str, operand: object) -> Condition:
    attribute, mark, written = name.partition("?")
    path = tuple(attribute.split("."))
    if "" in path:
        raise BadQuery(f"'{name}' names no attribute")
    if mark and not written:
        raise BadQuery(f"'{name}' has no operator after the question mark")
    try:
        op = _ALIASES.get(written) or Op(written)
    except ValueError:
        raise BadQuery(f"'{name}': there is no operator '{written}'") from None
    if op is Op.PREFIX and not isinstance(operand, str):
        raise BadQuery(f"'{name}' needs a string")
    if op is Op.RANGE and not (isinstance(operand, list) and len(operand) == 2):
        raise BadQuery(f"'{name}' needs a list of two")
    if path == ("key",):
        _check_key_condition(name, op, operand)
    return Condition(path, op, operand)


def _check_key_condition(name: str, op: Op, operand: Any) -> None:
    if op not in _OF_KEYS:
        raise BadQuery(f"'{name}': keys cannot be asked for in this way")
    texts = operand if op is Op.RANGE else [operand]
    if not all(isinstance(text, str) for text in texts):
        raise BadQuery(f"'{name}' needs a string")


def _holds(condition: Condition, item: Mapping[str, Any]) -> bool:
    at: Any = item
    for name in condition.path:
        if not isinstance(at, dict) or name not in at:
            # As in the store behind the former service: what is not there differs from everything.
            return condition.op in (Op.NE, Op.NOT_CONTAINS)
        at = at[name]
    return _compare(condition.op, at, condition.operand)


def _compare(op: Op, value: Any, operand: Any) -> bool:
    match op:
        case Op.EQ:
            return equal(value, operand)
        case Op.NE:
            return not equal(value, operand)
        case Op.CONTAINS:
            return _contains(value, operand)
        case Op.NOT_CONTAINS:
            return not _contains(value, operand)
        case Op.PREFIX:
            return isinstance(value, str) and value.startswith(operand)
        case Op.RANGE:
            low, high = operand
            return orderable(value, low) and orderable(value, high) and low <= value <= high
    if not orderable(value, operand):
        return False
    return bool({Op.LT: value < operand, Op.GT: value > operand, Op.LTE: value <= operand}.get(op, value >= operand))


def _contains(value: object, operand: object) -> bool:
    """Part of a string, or one of a list of strings."""
    if not isinstance(operand, str):
        return False
    if isinstance(value, str):
        return operand in value
    return isinstance(value, list) and operand in value
