"""What the synchronous and the asynchronous clients share: keys, addresses, and the bodies of requests."""

import datetime
import json
import math
import os
import pathlib
import time
import urllib.parse
from collections.abc import Mapping
from typing import Any

EXPIRES = "__expires"
BATCH = 25


def key_and_id(project_key: str | None, project_id: str | None) -> tuple[str, str]:
    """Raises AssertionError where there is no key, or none that names its project."""
    key = project_key or os.environ.get("DETA_PROJECT_KEY", "")
    assert key, "No project key defined"
    if not project_id:
        project_id = key.split("_")[0]
        assert project_id and project_id != key, "Bad project key provided"
    return key, project_id


def encoded_key(key: str) -> str:
    """As one segment of a path; dots too where they would mean a folder."""
    return urllib.parse.quote(key, safe="") if key not in (".", "..") else key.replace(".", "%2E")


def encoded_name(name: str) -> str:
    """Of a base or drive. Percent signs stay: the SDK sent names as they were, and some apps encoded them."""
    return urllib.parse.quote(name, safe="%")


def checked_key(key: object) -> str:
    if not isinstance(key, str) or not key:
        raise ValueError(f"Invalid key provided: {key!r}" if key else "Key is empty")
    return key


def as_item(data: Any, key: str | None) -> dict[str, Any]:
    """A copy of it; what is no dictionary becomes its `value`."""
    item = dict(data) if isinstance(data, Mapping) else {"value": data}
    if key:
        item["key"] = key
    return item


def batch(items: Any) -> list[dict[str, Any]]:
    found = list(items)
    if len(found) > BATCH:
        raise AssertionError(f"We can't put more than {BATCH} items at a time.")
    return [item if isinstance(item, dict) else {"value": item} for item in found]


def insert_ttl(item: dict[str, Any], expire_in: float | None, expire_at: Any) -> None:
    """Into the item. expire_in: seconds; expire_at: Unix seconds or a datetime, a naive one in local time."""
    if expire_in and expire_at:
        raise ValueError("'expire_in' and 'expire_at' are mutually exclusive parameters")
    if not expire_in and not expire_at:
        return
    moment: Any = time.time() + expire_in if expire_in else expire_at
    if isinstance(moment, datetime.datetime):
        moment = moment.timestamp()
    if not isinstance(moment, int | float):
        raise TypeError("'expire_at' should either be a datetime or a number")
    item[EXPIRES] = math.floor(moment)


def query_body(query: Any, limit: int | None, last: str | None, desc: bool) -> dict[str, Any]:
    body: dict[str, Any] = {"limit": limit, "last": last, "sort": "desc" if desc else ""}
    if query:
        body["query"] = query if isinstance(query, list) else [query]
    return {name: value for name, value in body.items() if value}


class Encoder(json.JSONEncoder):
    """Paths become text."""

    def default(self, o: Any) -> Any:
        if isinstance(o, pathlib.PurePath):
            return pathlib.Path(o).absolute().as_posix()
        return super().default(o)


def encode(value: Any) -> bytes:
    return json.dumps(value, cls=Encoder).encode()
