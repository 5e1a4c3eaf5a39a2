"""Items of a base: what is one, its key, its expiry, its JSON text. Rules: base-api.md, "Item model" and "Expiry"."""

import json
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from tenants.data_server.errors import Refused

ITEM_BYTES = 400 * 1024
BATCH_BYTES = 16 * 1024 * 1024
BATCH_ITEMS = 25
CONTAINERS = 1_000_000  # an empty list is two bytes of text and sixty of memory
DEPTH = 200  # SQLite's own limit is 1000, Python's recursion less than that
EXPIRES = "__expires"
_KEY_LETTERS = string.ascii_lowercase + string.digits
_KEY_LENGTH = 12

Item = dict[str, Any]


@dataclass(frozen=True)
class Document:
    """An item ready to be stored. text: compact JSON with `key`. expires: Unix seconds."""

    key: str
    text: str
    expires: float | None
    size_bytes: int


class EmptyName(Refused):
    """An attribute named "" somewhere inside: reported per item by PUT, otherwise a plain 400."""

    def __init__(self) -> None:
        super().__init__("Attribute names must not be empty")


def parse_json(body: bytes) -> Any:
    """Raises Refused for anything that is not strict JSON in UTF-8, NaN and Infinity included."""
    if body.count(b"[") + body.count(b"{") > CONTAINERS:
        raise Refused(f"The body holds more than {CONTAINERS:,} lists and objects")
    try:
        return json.loads(body.decode(), parse_constant=_no_constant)
    except RecursionError:
        raise Refused(f"JSON may be nested {DEPTH} levels deep") from None
    except ValueError as error:
        raise Refused(f"The body is not valid JSON: {error}") from None


def parse_object(body: bytes) -> dict[str, Any]:
    found = parse_json(body)
    if not isinstance(found, dict):
        raise Refused("The body must be a JSON object")
    return found


def document(item: object, where: str = "item") -> Document:
    """Check and encode; a missing key is generated. Raises EmptyName or Refused, naming `where`."""
    if not isinstance(item, dict):
        raise Refused(f"{where} must be an object")
    if "key" not in item:
        item = item | {"key": generate_key()}
    key = check_key(item["key"], f"{where}.key")
    check_names(item)
    text = encode(item, where)
    size = len(text.encode())
    if size > ITEM_BYTES:
        raise Refused(f"{where} is larger than 400 KB")
    return Document(key, text, expiry(item, where), size)


def batch(items: object) -> tuple[list[Document], list[Item]]:
    """What a PUT stores, in order, and the items that fail alone. Raises Refused where nothing may be stored."""
    if not isinstance(items, list):
        raise Refused("items must be a list")
    if not 1 <= len(items) <= BATCH_ITEMS:
        raise Refused(f"items must hold 1 to {BATCH_ITEMS} items")
    good: list[Document] = []
    failed: list[Item] = []
    for index, item in enumerate(items):
        try:
            good.append(document(item, f"items[{index}]"))
        except EmptyName:
            failed.append(item)
    keys = [one.key for one in good] + [item["key"] for item in failed if "key" in item]
    if len(set(keys)) < len(keys):
        raise Refused("items must not hold the same key twice")
    if sum(one.size_bytes for one in good) > BATCH_BYTES:
        raise Refused("items are larger than 16 MB together")
    return good, failed


def check_key(key: object, where: str = "key") -> str:
    """Raises Refused unless it is text that can be stored."""
    if not isinstance(key, str):
        raise Refused(f"{where} must be a string")
    if not key:
        raise Refused(f"{where} must not be empty")
    try:
        key.encode()
    except UnicodeEncodeError:
        raise Refused(f"{where} is not valid Unicode") from None
    return key


def check_names(value: object) -> None:
    """Raises EmptyName for an attribute named "" at any level, Refused for too many levels."""
    level: list[Any] = [value]
    for _ in range(DEPTH):
        if not level:
            return
        below: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                if "" in one:
                    raise EmptyName
                below += [child for child in one.values() if isinstance(child, dict | list)]
            elif isinstance(one, list):
                below += [child for child in one if isinstance(child, dict | list)]
        level = below
    if level:
        raise Refused(f"JSON may be nested {DEPTH} levels deep")


def encode(value: object, where: str = "item") -> str:
    """Compact JSON that UTF-8 can hold: where it holds half a surrogate pair, with escapes instead."""
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:
        raise Refused(f"{where} holds a number that is too large") from None
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"))
    return text


def expiry(item: Mapping[str, Any], where: str = "item") -> float | None:
    if EXPIRES not in item:
        return None
    found = item[EXPIRES]
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise Refused(f"{where}.{EXPIRES} must be a number of seconds")
    try:
        return float(found)
    except OverflowError:
        raise Refused(f"{where}.{EXPIRES} is too large") from None


def generate_key() -> str:
    return "".join(secrets.choice(_KEY_LETTERS) for _ in range(_KEY_LENGTH))


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")
