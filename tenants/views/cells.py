"""Items as a table: a column for each attribute that occurs, a cell that says what kind of value it holds, and the form
that changes one cell."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tenants.data_server.documents import EXPIRES

COLUMNS = 8
LETTERS = 80


@dataclass(frozen=True)
class Cell:
    """kind: text, number, truth, null, list, object, time or missing. name: of the attribute where it can be changed by
    itself, "" where only the whole item can."""

    kind: str
    text: str
    name: str = ""


@dataclass(frozen=True)
class Row:
    key: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """columns: without the key, most of what there is; left_out: how many there are more."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    left_out: int


def table(items: Sequence[dict[str, Any]]) -> Table:
    names = list(dict.fromkeys(name for item in items for name in item if name != "key"))
    shown = names[:COLUMNS]
    rows = tuple(Row(item["key"], tuple(cell(item, name) for name in shown)) for item in items)
    return Table(tuple(map(_sound, shown)), rows, len(names) - len(shown))


def cell(item: dict[str, Any], name: str) -> Cell:
    kind, text = _shown(item, name)
    return Cell(kind, text, name if can_change(name) else "")


def can_change(name: str) -> bool:
    """An update takes dots for steps inwards, and the key stays what it is."""
    return name != "key" and "" not in name.split(".") and "." not in name and name == _sound(name)


def _shown(item: dict[str, Any], name: str) -> tuple[str, str]:
    if name not in item:
        return "missing", ""
    value = item[name]
    if name == EXPIRES and (at := _time(value)):
        return "time", at
    match value:
        case None:
            return "null", "null"
        case bool():
            return "truth", "true" if value else "false"
        case int() | float():
            return "number", _short(json.dumps(value))
        case str():
            return "text", _short(value)
    return "list" if isinstance(value, list) else "object", _short(json.dumps(value, ensure_ascii=False))


def _time(value: object) -> str | None:
    try:
        return f"{datetime.fromtimestamp(float(value), UTC):%-d %b %Y, %H:%M:%S}"  # type: ignore[arg-type]
    except (OverflowError, ValueError, TypeError, OSError):
        return None


def _short(text: str) -> str:
    return _sound(text if len(text) <= LETTERS else f"{text[: LETTERS - 1]}…")


def _sound(text: str) -> str:
    """JSON may hold halves of surrogate pairs, pages may not."""
    return text.encode(errors="backslashreplace").decode()
