"""Base for asyncio, on aiohttp."""

import os
from collections.abc import Mapping
from typing import Any

import aiohttp
import yarl

from ..base import HOST, FetchResponse, Util, page, update_body
from ..utils import as_item, batch, checked_key, encode, encoded_key, encoded_name, insert_ttl, query_body


class _AsyncBase:
    """session: else one of its own, opened with the first request and closed by `close`."""

    def __init__(
        self, name: str, project_key: str, project_id: str, host: str | None = None, session: Any = None
    ) -> None:
        assert name, "Please provide a Base name. E.g 'mydb'"
        host = host or os.environ.get("DETA_BASE_HOST") or HOST
        self._root = f"https://{host}/v1/{project_id}/{encoded_name(name)}"
        self._headers = {"Content-Type": "application/json", "X-API-Key": project_key}
        self._session: aiohttp.ClientSession | None = session
        self.util = Util()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def __aenter__(self) -> "_AsyncBase":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def get(self, key: str) -> Any:
        """The item, or None."""
        try:
            return await self._ask("GET", f"/items/{encoded_key(checked_key(key))}")
        except aiohttp.ClientResponseError as error:
            if error.status == 404:
                return None
            raise

    async def delete(self, key: str) -> None:
        await self._ask("DELETE", f"/items/{encoded_key(checked_key(key))}")

    async def insert(
        self, data: Any, key: str | None = None, *, expire_in: float | None = None, expire_at: Any = None
    ) -> Any:
        """The item as stored. Raises aiohttp.ClientResponseError (409) when the key is taken."""
        item = as_item(data, key)
        insert_ttl(item, expire_in, expire_at)
        return await self._ask("POST", "/items", {"item": item})

    async def put(
        self, data: Any, key: str | None = None, *, expire_in: float | None = None, expire_at: Any = None
    ) -> Any:
        """The item as stored, in place of what was there."""
        item = as_item(data, key)
        insert_ttl(item, expire_in, expire_at)
        found = await self._ask("PUT", "/items", {"items": [item]})
        return found["processed"]["items"][0] if "processed" in found else None

    async def put_many(self, items: Any, *, expire_in: float | None = None, expire_at: Any = None) -> Any:
        """At most 25, all or none."""
        found = batch(items)
        for item in found:
            insert_ttl(item, expire_in, expire_at)
        return await self._ask("PUT", "/items", {"items": found})

    async def fetch(
        self, query: Any = None, *, limit: int = 1000, last: str | None = None, desc: bool = False
    ) -> FetchResponse:
        """One page of the items that match a query, or any of a list of queries."""
        return page(await self._ask("POST", "/query", query_body(query, limit, last, desc)))

    async def update(
        self, updates: Mapping[str, Any] | None, key: str, *, expire_in: float | None = None, expire_at: Any = None
    ) -> None:
        """Raises aiohttp.ClientResponseError (404) when there is no item of that key."""
        await self._ask("PATCH", f"/items/{encoded_key(checked_key(key))}", update_body(updates, expire_in, expire_at))

    async def _ask(self, method: str, path: str, body: Any = None) -> Any:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        url = yarl.URL(self._root + path, encoded=True)  # keys are encoded once, by us
        content = None if body is None else encode(body)
        async with self._session.request(method, url, data=content, headers=self._headers) as answer:
            answer.raise_for_status()
            return await answer.json()
