"""Base as the reference describes it, over a dict, as plainly as can be: what the server is compared with.

Every operation returns (status, body); the body of a refusal is None, since its text is not part of the contract.
"""

import copy
import json
from typing import Any

Reply = tuple[int, Any]
REFUSED: Reply = (400, None)
BAD_QUERY: Reply = (400, "Bad query")
NOW = 2_000_000_000  # expiry dates in tests are far on either side
SYMBOLS = {"<": "lt", ">": "gt", "<=": "lte", ">=": "gte", "!contains": "not_contains"}
OPERATORS = {"", "ne", "lt", "gt", "lte", "gte", "pfx", "r", "contains", "not_contains"}


class Wrong(Exception):
    pass


class Base:
    def __init__(self) -> None:
        self.items: dict[str, dict[str, Any]] = {}

    def put(self, items: list[Any]) -> Reply:
        if not 1 <= len(items) <= 25 or not all(isinstance(item, dict) for item in items):
            return REFUSED
        keys = [item["key"] for item in items]
        good = [item for item in items if not nameless(item)]
        if not all(map(usable_key, keys)) or len(set(keys)) < len(keys) or not all(map(sound, good)):
            return REFUSED
        for item in good:
            self.items[item["key"]] = copy.deepcopy(item)
        sections = {"processed": good, "failed": [item for item in items if nameless(item)]}
        return 207, {name: {"items": some} for name, some in sections.items() if some}

    def insert(self, item: Any) -> Reply:
        if not isinstance(item, dict) or not usable_key(item["key"]) or nameless(item) or not sound(item):
            return REFUSED
        if self.alive(item["key"]):
            return 409, None
        self.items[item["key"]] = copy.deepcopy(item)
        return 201, item

    def get(self, key: str) -> Reply:
        return (200, self.items[key]) if self.alive(key) else (404, {"key": key})

    def delete(self, key: str) -> Reply:
        self.items.pop(key, None)
        return 200, {"key": key}

    def update(self, key: str, change: dict[str, Any]) -> Reply:
        paths = [name.split(".") for part in change.values() for name in part]
        if not paths or any("" in path or path[0] == "key" for path in paths):
            return REFUSED
        for at, one in enumerate(paths):
            if any(other[: len(one)] == one for index, other in enumerate(paths) if index != at):
                return REFUSED
        if not all(is_number(by) for by in change["increment"].values()) or nameless(change):
            return REFUSED
        if not all(isinstance(some, list) for name in ("append", "prepend") for some in change[name].values()):
            return REFUSED
        if not self.alive(key):
            return 404, None
        item = copy.deepcopy(self.items[key])
        try:
            change_item(item, change)
        except Wrong:
            return REFUSED
        if not sound(item):
            return REFUSED
        self.items[key] = item
        return 200, {"key": key, **change}

    def query(self, query: list[Any], limit: int, last: str | None, descending: bool) -> Reply:
        try:
            key_conditions = [[one for one in parsed(some) if one[0] == ["key"]] for some in query]
            for one in key_conditions:
                if len(one) > 1 or one != key_conditions[0]:
                    raise Wrong
            if limit < 1:
                return REFUSED
            found = [item for item in self.items.values() if self.alive(item["key"]) and selected(query, item)]
        except Wrong:
            return BAD_QUERY
        found.sort(key=lambda item: utf8(item["key"]), reverse=descending)
        if last:
            found = [
                item
                for item in found
                if (utf8(item["key"]) < utf8(last) if descending else utf8(item["key"]) > utf8(last))
            ]
        page = found[:limit]
        paging = {"size": len(page)} | ({"last": page[-1]["key"]} if len(found) > limit else {})
        return 200, {"paging": paging, "items": page}

    def alive(self, key: str) -> bool:
        return key in self.items and self.items[key].get("__expires", NOW + 1) > NOW


def usable_key(key: Any) -> bool:
    return isinstance(key, str) and key != "" and whole(key)


def whole(text: str) -> bool:
    return not any("\ud800" <= c <= "\udfff" for c in text)


def sound(item: dict[str, Any]) -> bool:
    return "__expires" not in item or is_number(item["__expires"])


def nameless(value: Any) -> bool:
    if isinstance(value, dict):
        return "" in value or any(map(nameless, value.values()))
    return isinstance(value, list) and any(map(nameless, value))


def is_number(value: Any) -> bool:
    return type(value) in (int, float)


def utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def change_item(item: dict[str, Any], change: dict[str, Any]) -> None:
    for operation, part in change.items():
        for name in part:
            *way, leaf = name.split(".")
            at: Any = item
            for step in way:
                at = at.get(step) if isinstance(at, dict) else None
            if operation == "delete":
                if isinstance(at, dict):
                    at.pop(leaf, None)
                continue
            if not isinstance(at, dict) or (operation != "set" and leaf not in at):
                raise Wrong
            value = part[name]
            if operation == "increment" and not is_number(at[leaf]):
                raise Wrong
            if operation in ("append", "prepend") and not isinstance(at[leaf], list):
                raise Wrong
            at[leaf] = {
                "set": lambda at=at, value=value: value,
                "increment": lambda at=at, value=value, leaf=leaf: at[leaf] + value,
                "append": lambda at=at, value=value, leaf=leaf: [*at[leaf], *value],
                "prepend": lambda at=at, value=value, leaf=leaf: [*value, *at[leaf]],
            }[operation]()


def parsed(conditions: Any) -> list[tuple[list[str], str, Any]]:
    if not isinstance(conditions, dict):
        raise Wrong
    return [split(name, operand) for name, operand in conditions.items()]


def split(name: str, operand: Any) -> tuple[list[str], str, Any]:
    field, mark, operator = name.partition("?")
    operator = SYMBOLS.get(operator, operator)
    if operator not in OPERATORS or (mark and not operator) or "" in field.split("."):
        raise Wrong
    if operator == "pfx" and not isinstance(operand, str):
        raise Wrong
    if operator == "r" and not (isinstance(operand, list) and len(operand) == 2):
        raise Wrong
    if field == "key":
        operands = operand if operator == "r" else [operand]
        if operator in ("ne", "contains", "not_contains") or not all(isinstance(one, str) for one in operands):
            raise Wrong
    return field.split("."), operator, operand


def selected(query: list[Any], item: dict[str, Any]) -> bool:
    return not query or any(all(holds(item, *one) for one in parsed(some)) for some in query)


def holds(item: dict[str, Any], path: list[str], operator: str, operand: Any) -> bool:
    value: Any = item
    for step in path:
        if not isinstance(value, dict) or step not in value:
            return operator in ("ne", "not_contains")
        value = value[step]
    if operator in ("", "ne"):
        return (canonical(value) == canonical(operand)) == (operator == "")
    if operator in ("contains", "not_contains"):
        inside = isinstance(operand, str) and isinstance(value, str | list) and operand in value
        return inside == (operator == "contains")
    if operator == "pfx":
        return isinstance(value, str) and utf8(value).startswith(utf8(operand))
    if operator == "r":
        return holds(item, path, "gte", operand[0]) and holds(item, path, "lte", operand[1])
    if is_number(value) and is_number(operand):
        pass
    elif isinstance(value, str) and isinstance(operand, str):
        value, operand = utf8(value), utf8(operand)
    else:
        return False
    below, above = value < operand, value > operand
    return {"lt": below, "gt": above, "lte": not above, "gte": not below}[operator]


def canonical(value: Any) -> Any:
    """Equal for what JSON holds equal: names in any order, 1 and 1.0, but not true."""
    if isinstance(value, dict):
        return "object", sorted((utf8(name), canonical(one)) for name, one in value.items())
    if isinstance(value, list):
        return "list", [canonical(one) for one in value]
    return ("number", value) if is_number(value) else (type(value).__name__, value)


def text(value: Any) -> str:
    """For comparing replies strictly: 1 is not 1.0 here."""
    return json.dumps(value, sort_keys=True)
