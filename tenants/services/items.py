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
from tenants.services.contents import NotThere, Part, contents, opened, part

PAGE_ITEMS = 50
QUERY_TIMEOUT_S = 20.0  # a scan of a great base ends by itself before
Item = dict[str, Any]


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
    with opened(collection) as client:
        part(contents(client).bases, base)  # a mistyped address makes no base
        stored = data_admin.ask(client, "POST", f"{_base(base)}/items", {"item": item})
        return str(stored["key"])


def change(collection: Collection, base: str, key: str, text: str) -> None:
    """The JSON text in place of the item. Raises Refused (field item), NotThere, Away. Safe to repeat."""
    item = _parsed(text)
    if item.setdefault("key", key) != key:
        raise Refused("other_key", f"The key stays “{key}”: add a new item for another key.", field="item")
    get(collection, base, key)
    with opened(collection) as client:
        stored = data_admin.ask(client, "PUT", f"{_base(base)}/items", {"items": [item]})
        if stored.get("failed"):
            raise Refused("invalid_item", "Names of attributes must not be empty.", field="item")


def delete(collection: Collection, base: str, key: str) -> None:
    """Again: nothing more. Raises Away."""
    with opened(collection) as client:
        data_admin.ask(client, "DELETE", _item(base, key))


def written(item: Item) -> str:
    """JSON for people to read and change; escapes where it holds half a surrogate pair."""
    text = json.dumps(item, ensure_ascii=False, indent=2)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(item, indent=2)
    return text


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
