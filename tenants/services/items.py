"""Items of a base as their owner looks at them and changes them, asked of the data server."""

import json
from dataclasses import dataclass
from typing import Any

import httpx

from tenants.data_server import documents
from tenants.data_server.errors import Refused as NotTaken
from tenants.errors import Refused
from tenants.models import Collection
from tenants.reconcile import data_admin
from tenants.services.contents import NotThere, Part, changed, contents, opened, part

PAGE_ITEMS = 50
_PRETTY_LETTERS = 500_000  # beyond, indenting would make of an item more than a form may send back
QUERY_TIMEOUT_S = 20.0  # a scan of a great base ends by itself before
Item = dict[str, Any]
# What a cell can be made; `none`: without the attribute.
KINDS = {
    "text": "Text",
    "number": "Number",
    "true": "True",
    "false": "False",
    "null": "null",
    "json": "JSON",
    "none": "No value",
}
_WORDS = {"true": True, "false": False, "null": None}


@dataclass(frozen=True)
class Asked:
    """query: the query language's JSON, "" for everything. last: where the page begins, "" at the start."""

    query: str = ""
    last: str = ""
    descending: bool = False


@dataclass(frozen=True)
class Page:
    """last: where the next page begins, None on the last one. wrong: what is wrong with the query, else ""."""

    base: Part
    items: tuple[Item, ...] = ()
    last: str | None = None
    wrong: str = ""


def look(collection: Collection, base: str, asked: Asked) -> Page:
    """One page in the order of keys. Raises NotThere, Away."""
    with opened(collection, QUERY_TIMEOUT_S) as client:
        found = part(contents(client).bases, base)
        try:
            answer = data_admin.ask(client, "POST", f"{_base(base)}/query", _query(asked))
        except data_admin.Refusal as refusal:
            return Page(found, wrong=refusal.why)
        except NotTaken as error:
            return Page(found, wrong=str(error).replace("The body", "The query"))
        return Page(found, tuple(answer["items"]), answer["paging"].get("last"))


def known(collection: Collection, base: str) -> Part:
    """Raises NotThere, Away."""
    with opened(collection) as client:
        return part(contents(client).bases, base)


def get(collection: Collection, base: str, key: str) -> Item:
    """Raises NotThere, Away."""
    with opened(collection) as client:
        answer = client.get(_item(base, key))
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise NotThere("no_item", "There is no item of that key.")
        return data_admin.document_of(answer, "GET of an item")


def add(collection: Collection, base: str, text: str) -> str:
    """Put the JSON text into the base as a new item. Returns its key. Raises Refused, Conflict (key taken), Away."""
    item = _parsed(text)
    with changed(collection) as client:
        part(contents(client).bases, base)  # a mistyped address makes no base
        stored = data_admin.ask(client, "POST", f"{_base(base)}/items", {"item": item})
        return str(stored["key"])


def change(collection: Collection, base: str, key: str, text: str) -> None:
    """The JSON text in place of the item. Raises Refused (field item), NotThere, Away. Safe to repeat."""
    item = _parsed(text)
    if item.setdefault("key", key) != key:
        raise Refused("other_key", f"The key stays “{key}”: add a new item for another key.", field="item")
    get(collection, base, key)
    with changed(collection) as client:
        stored = data_admin.ask(client, "PUT", f"{_base(base)}/items", {"items": [item]})
        if stored.get("failed"):
            raise Refused("invalid_item", "Names of attributes must not be empty.", field="item")


def typed(item: Item, name: str) -> tuple[str, str]:
    """The kind that an attribute is of, and its text in a form, which `set_value` takes."""
    if name not in item:
        return "none", ""
    value = item[name]
    if value is None or isinstance(value, bool):
        return json.dumps(value), ""
    if isinstance(value, str) and "\r" not in value and _is_sound(value):
        return "text", value
    text = json.dumps(value, ensure_ascii=False)
    kind = "number" if isinstance(value, int | float) else "json"
    return kind, text if _is_sound(text) else json.dumps(value)


def set_value(collection: Collection, base: str, key: str, name: str, kind: str, text: str) -> Item:
    """One attribute, of one of KINDS; the others stay, whoever writes them meanwhile. Returns the item as it then is.

    Raises Refused (field kind, value), NotThere, Away. Safe to repeat.
    """
    if kind == "none":
        change: data_admin.Document = {"delete": [name]}
    else:
        change = {"set": {name: _value(kind, text)}}
    with changed(collection) as client:
        answer = client.patch(_item(base, key), json=change)
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise NotThere("no_item", "There is no item of that key.")
        data_admin.document_of(answer, "PATCH of an item")
    return get(collection, base, key)


def _is_sound(text: str) -> bool:
    """Without halves of surrogate pairs, which JSON may hold and pages may not."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _value(kind: str, text: str) -> Any:
    if kind == "text":
        return text.replace("\r\n", "\n")  # as browsers send the lines of a form
    if kind in _WORDS:
        return _WORDS[kind]
    if kind not in KINDS:
        raise Refused("invalid_kind", f"Choose one of {', '.join(KINDS)}.", field="kind")
    try:
        found = documents.parse_json(text.encode(errors="surrogatepass"))
    except NotTaken as error:
        raise Refused("invalid_value", str(error).replace("The body", "The value"), field="value") from error
    if kind == "number" and (isinstance(found, bool) or not isinstance(found, int | float)):
        raise Refused("invalid_value", "A number is written like 42, -1.5 or 2e3.", field="value")
    return found


def delete(collection: Collection, base: str, key: str) -> None:
    """Again: nothing more. Raises Away."""
    with changed(collection) as client:
        data_admin.ask(client, "DELETE", _item(base, key))


def written(item: Item) -> str:
    """JSON for people to read and change; escapes where it holds half a surrogate pair."""
    text = json.dumps(item, ensure_ascii=False, indent=2)
    if len(text) > _PRETTY_LETTERS:
        return documents.encode(item)
    return text if _is_sound(text) else json.dumps(item, indent=2)


def _query(asked: Asked) -> data_admin.Document:
    """Raises NotTaken where it is not JSON."""
    query = documents.parse_json(asked.query.encode()) if asked.query.strip() else None
    sort = "desc" if asked.descending else "asc"
    return {"query": query, "limit": PAGE_ITEMS, "sort": sort} | ({"last": asked.last} if asked.last else {})


def _parsed(text: str) -> Item:
    try:
        found = documents.parse_json(text.encode())
        if isinstance(found, dict):
            documents.document(found)
    except NotTaken as error:
        raise Refused("invalid_item", str(error).replace("The body", "The item"), field="item") from error
    if not isinstance(found, dict):
        raise Refused("invalid_item", 'An item is a JSON object, such as {"name": "Ada"}.', field="item")
    return found


def _base(name: str) -> str:
    return f"bases/{data_admin.quoted(name)}"


def _item(base: str, key: str) -> str:
    return f"{_base(base)}/items/{data_admin.quoted(key)}"
