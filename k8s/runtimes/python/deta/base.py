"""Base: documents by key."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

from .service import _Service
from .utils import as_item, batch, checked_key, encoded_key, insert_ttl, query_body

HOST = "database.deta.sh"


class FetchResponse:
    """One page. last: pass it to the next fetch; None on the last page."""

    def __init__(self, count: int = 0, last: str | None = None, items: list[Any] | None = None) -> None:
        self._count = count
        self._last = last
        self._items = items if items is not None else []

    @property
    def count(self) -> int:
        return self._count

    @property
    def last(self) -> str | None:
        return self._last

    @property
    def items(self) -> list[Any]:
        return self._items

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FetchResponse):
            return NotImplemented
        return (self.count, self.last, self.items) == (other.count, other.last, other.items)

    __hash__ = None  # type: ignore[assignment]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __repr__(self) -> str:
        return f"FetchResponse(count={self.count!r}, last={self.last!r}, items={self.items!r})"


class Util:
    """Values that `update` takes for operations."""

    class Trim:
        pass

    class Increment:
        def __init__(self, value: float | None = None) -> None:
            self.val = value or 1

    class Append:
        def __init__(self, value: Any) -> None:
            self.val = value if isinstance(value, list) else [value]

    class Prepend:
        def __init__(self, value: Any) -> None:
            self.val = value if isinstance(value, list) else [value]

    def trim(self) -> "Util.Trim":
        return self.Trim()

    def increment(self, value: float | None = None) -> "Util.Increment":
        return self.Increment(value)

    def append(self, value: Any) -> "Util.Append":
        return self.Append(value)

    def prepend(self, value: Any) -> "Util.Prepend":
        return self.Prepend(value)


def update_body(updates: Mapping[str, Any] | None, expire_in: float | None, expire_at: Any) -> dict[str, Any]:
    """Raises ValueError for no update at all."""
    body: dict[str, Any] = {"set": {}, "increment": {}, "append": {}, "prepend": {}, "delete": []}
    for attribute, value in (updates or {}).items():
        if isinstance(value, Util.Trim):
            body["delete"].append(attribute)
        elif isinstance(value, Util.Increment | Util.Append | Util.Prepend):
            body[type(value).__name__.lower()][attribute] = value.val
        else:
            body["set"][attribute] = value
    insert_ttl(body["set"], expire_in, expire_at)
    if not any(body.values()):
        raise ValueError("Provide at least one update action.")
    return body


def page(found: Mapping[str, Any]) -> FetchResponse:
    paging = found.get("paging") or {}
    return FetchResponse(paging.get("size", 0), paging.get("last"), found.get("items"))


class _Base(_Service):
    def __init__(self, name: str, project_key: str, project_id: str, host: str | None = None) -> None:
        assert name, "Please provide a Base name. E.g 'mydb'"
        super().__init__(project_key, project_id, host or os.environ.get("DETA_BASE_HOST") or HOST, name)
        self.util = Util()

    def get(self, key: str) -> Any:
        """The item, or None."""
        return self._request(f"/items/{encoded_key(checked_key(key))}", "GET")[1]

    def delete(self, key: str) -> None:
        self._request(f"/items/{encoded_key(checked_key(key))}", "DELETE")

    def insert(
        self, data: Any, key: str | None = None, *, expire_in: float | None = None, expire_at: Any = None
    ) -> Any:
        """The item as stored. Raises urllib.error.HTTPError (409) when the key is taken."""
        item = as_item(data, key)
        insert_ttl(item, expire_in, expire_at)
        return self._request("/items", "POST", {"item": item})[1]

    def put(self, data: Any, key: str | None = None, *, expire_in: float | None = None, expire_at: Any = None) -> Any:
        """The item as stored, in place of what was there."""
        item = as_item(data, key)
        insert_ttl(item, expire_in, expire_at)
        status, found = self._request("/items", "PUT", {"items": [item]})
        return found["processed"]["items"][0] if status == 207 and "processed" in found else None

    def put_many(self, items: Any, *, expire_in: float | None = None, expire_at: Any = None) -> Any:
        """At most 25, all or none."""
        found = batch(items)
        for item in found:
            insert_ttl(item, expire_in, expire_at)
        return self._request("/items", "PUT", {"items": found})[1]

    def fetch(
        self, query: Any = None, *, limit: int = 1000, last: str | None = None, desc: bool = False
    ) -> FetchResponse:
        """One page of the items that match a query, or any of a list of queries."""
        return page(self._request("/query", "POST", query_body(query, limit, last, desc))[1] or {})

    def update(
        self, updates: Mapping[str, Any] | None, key: str, *, expire_in: float | None = None, expire_at: Any = None
    ) -> None:
        """Raises Exception when there is no item of that key."""
        body = update_body(updates, expire_in, expire_at)
        status, _ = self._request(f"/items/{encoded_key(checked_key(key))}", "PATCH", body)
        if status == 404:
            raise Exception(f"Key '{key}' not found")
