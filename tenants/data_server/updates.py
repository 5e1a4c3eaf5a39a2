"""PATCH: what an update may say, and what it does to an item. Rules: base-api.md §5."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tenants.data_server import documents
from tenants.data_server.documents import Item
from tenants.data_server.errors import Refused

_MAPS = ("set", "increment", "append", "prepend")

Path = tuple[str, ...]


@dataclass(frozen=True)
class Update:
    """Dotted names are split; no two paths overlap, so the order of the operations does not matter."""

    set: Mapping[Path, Any] = field(default_factory=dict)
    increment: Mapping[Path, int | float] = field(default_factory=dict)
    append: Mapping[Path, list[Any]] = field(default_factory=dict)
    prepend: Mapping[Path, list[Any]] = field(default_factory=dict)
    delete: Sequence[Path] = ()

    def paths(self) -> Iterator[Path]:
        for named in (self.set, self.increment, self.append, self.prepend, self.delete):
            yield from named


def parse(body: Mapping[str, Any]) -> Update:
    """Raises Refused, naming the operation and the attribute."""
    unknown = sorted(set(body) - {*_MAPS, "delete"})
    if unknown:
        raise Refused(f"{unknown[0]}: no such operation")
    maps = {name: _map(name, body.get(name)) for name in _MAPS}
    for path, by in maps["increment"].items():
        if not is_number(by):
            raise Refused(f"increment: {'.'.join(path)} must be a number")
    for name in ("append", "prepend"):
        for path, values in maps[name].items():
            if not isinstance(values, list):
                raise Refused(f"{name}: {'.'.join(path)} must be a list")
    documents.check_names(body)
    update = Update(**maps, delete=_names(body.get("delete")))
    _refuse_overlaps(update)
    return update


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def apply(update: Update, item: Item) -> None:
    """Change `item` in place; when it raises Refused, `item` is spoilt and must not be stored."""
    for path, value in update.set.items():
        _parent(item, path)[path[-1]] = value
    for path, by in update.increment.items():
        parent, old = _existing(item, path, "increment")
        if not is_number(old):
            raise Refused(f"increment: {'.'.join(path)} is not a number")
        parent[path[-1]] = _sum(old, by, path)
    for path, values in update.append.items():
        parent, old = _existing(item, path, "append")
        parent[path[-1]] = _list(old, path, "append") + values
    for path, values in update.prepend.items():
        parent, old = _existing(item, path, "prepend")
        parent[path[-1]] = values + _list(old, path, "prepend")
    for path in update.delete:
        _forget(item, path)


def _map(name: str, found: object) -> dict[Path, Any]:
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise Refused(f"{name} must be an object")
    return {_path(name, key): value for key, value in found.items()}


def _names(found: object) -> tuple[Path, ...]:
    if found is None:
        return ()
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise Refused("delete must be a list of attribute names")
    return tuple(_path("delete", name) for name in found)


def _path(operation: str, name: str) -> Path:
    path = tuple(name.split("."))
    if "" in path:
        raise Refused(f"{operation}: '{name}' is not the name of an attribute")
    if path[0] == "key":
        raise Refused(f"{operation}: the key cannot be changed")
    return path


def _refuse_overlaps(update: Update) -> None:
    """Sorted, a path stands directly before the first of those that begin with it."""
    paths = sorted(update.paths())
    if not paths:
        raise Refused("An update must change something")
    for first, second in zip(paths, paths[1:], strict=False):
        if second[: len(first)] == first:
            raise Refused(f"'{'.'.join(first)}' and '{'.'.join(second)}' cannot be changed in one update")


def _parent(item: Item, path: Path) -> Item:
    at: Any = item
    for name in path[:-1]:
        at = at.get(name) if isinstance(at, dict) else None
    if not isinstance(at, dict):
        raise Refused(f"set: '{'.'.join(path[:-1])}' is not an object")
    return at


def _existing(item: Item, path: Path, operation: str) -> tuple[Item, Any]:
    at: Any = item
    for name in path[:-1]:
        at = at.get(name) if isinstance(at, dict) else None
    if not isinstance(at, dict) or path[-1] not in at:
        raise Refused(f"{operation}: there is no '{'.'.join(path)}'")
    return at, at[path[-1]]


def _list(found: object, path: Path, operation: str) -> list[Any]:
    if not isinstance(found, list):
        raise Refused(f"{operation}: {'.'.join(path)} is not a list")
    return found


def _forget(item: Item, path: Path) -> None:
    at: Any = item
    for name in path[:-1]:
        at = at.get(name) if isinstance(at, dict) else None
    if isinstance(at, dict):
        at.pop(path[-1], None)


def _sum(old: int | float, by: int | float, path: Path) -> int | float:
    try:
        total = old + by
    except OverflowError:
        total = math.inf
    if isinstance(total, float) and not math.isfinite(total):
        raise Refused(f"increment: {'.'.join(path)} would be too large")
    return total
