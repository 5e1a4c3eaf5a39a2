"""What a collection holds now, asked of its data server; and how pages reach the inside of a cloud at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlencode

import httpx

from k8s.errors import ClusterError
from tenants.errors import Conflict, Refused, Unavailable
from tenants.models import Collection
from tenants.reconcile import data_admin
from tenants.services import data_sleep
from tenants.states import CloudState, DataServerState

TIMEOUT_S = 3.0
LONG_S = 120.0  # a great many rows go
Kind = Literal["bases", "drives"]


@dataclass(frozen=True)
class Part:
    """A base (count: of items) or a drive (count: of files)."""

    name: str
    count: int
    size_bytes: int


@dataclass(frozen=True)
class Contents:
    size_bytes: int
    bases: tuple[Part, ...]
    drives: tuple[Part, ...]


class Away(Exception):
    """The data server cannot say or do it now: it starts, stands still, or has not heard of the collection."""


@contextmanager
def opened(collection: Collection, timeout_s: float = TIMEOUT_S) -> Iterator[httpx.Client]:
    """A client whose paths are those below the collection. Raises Away, and Refused in the data server's own words."""
    upstream = upstream_of(collection)
    try:
        with data_admin.connected(collection.cloud_id, upstream, timeout_s) as client:
            client.base_url = client.base_url.join(f"collections/{collection.project_id}/")
            yield client
    except data_admin.Refusal as refusal:
        raise refused(refusal.status, refusal.why) from refusal
    except ClusterError as error:
        raise Away(str(error)) from error


@contextmanager
def changed(collection: Collection, timeout_s: float = TIMEOUT_S) -> Iterator[httpx.Client]:
    """Like `opened`, to write. Raises Conflict in a cloud that is not open: there the data server is up to be read."""
    check_open(collection)
    with opened(collection, timeout_s) as client:
        yield client


def check_open(collection: Collection) -> None:
    """Raises Conflict."""
    state = collection.cloud.state
    if state not in (CloudState.CREATING, CloudState.ACTIVE):
        raise Conflict("cloud_unavailable", f"Your cloud is {state}: its data can be read and exported, not changed.")


def upstream_of(collection: Collection) -> str:
    """Where the collection's data server answers; woken if it is asleep. Raises Away."""
    server = data_sleep.roused(collection.cloud_id)
    if server is None or server.state != DataServerState.RUNNING or not server.upstream:
        raise Away("there is no data server")
    if collection.generation > server.observed_generation:
        raise Away("the data server has not heard of the collection")
    return server.upstream


def refused(status: int, why: str) -> Refused:
    """What the data server did not take, as the refusal of a use-case."""
    if status == 404:
        return NotThere("not_there", why)
    return (Conflict if status == 409 else Refused)("data_refused", why)


class NotThere(Refused):
    """No such base, drive, item or file."""

    status = 404


def contents_of(collection: Collection) -> Contents | None:
    """None while its server cannot say."""
    try:
        with opened(collection) as client:
            return contents(client)
    except (Away, Refused):
        return None


def contents(client: httpx.Client) -> Contents:
    found = data_admin.ask(client, "GET", str(client.base_url).removesuffix("/"))
    bases = tuple(Part(part["name"], part["items"], part["bytes"]) for part in found["bases"])
    drives = tuple(Part(part["name"], part["files"], part["bytes"]) for part in found["drives"])
    return Contents(found["bytes"], bases, drives)


def parts_of(collection: Collection, kind: Kind) -> tuple[Part, ...]:
    """All bases, or all drives. Raises Unavailable."""
    with _served(collection) as client:
        found = contents(client)
        return found.bases if kind == "bases" else found.drives


def make(collection: Collection, kind: Kind, name: str) -> None:
    """An empty base or drive. Again: nothing more. Raises Refused (field name), Conflict for a closed cloud, Unavailable."""
    check_open(collection)
    with _served(collection, field="name") as client:
        data_admin.ask(client, "PUT", f"{kind}/{data_admin.quoted(name)}")


def drop(collection: Collection, kind: Kind, name: str) -> None:
    """A whole base or drive, for good. Raises NotThere, Conflict for a closed cloud, Unavailable."""
    check_open(collection)
    with _served(collection, LONG_S) as client:
        data_admin.ask(client, "DELETE", f"{kind}/{data_admin.quoted(name)}")


def drop_folder(collection: Collection, drive: str, folder: str) -> int:
    """All files below it, for good; how many they were. Again: those that are left. Raises Refused (field folder),
    Conflict for a closed cloud, Unavailable."""
    if not folder.endswith("/"):
        raise Refused("invalid_folder", "The name of a folder ends in a slash.", field="folder")
    check_open(collection)
    with _served(collection, LONG_S, field="folder") as client:
        path = f"drives/{data_admin.quoted(drive)}/folder?{urlencode({'prefix': folder})}"
        return int(data_admin.ask(client, "DELETE", path)["removed"])


@contextmanager
def _served(collection: Collection, timeout_s: float = TIMEOUT_S, field: str | None = None) -> Iterator[httpx.Client]:
    """Like `opened`, for programs. Raises Unavailable, Refused with that field."""
    try:
        with opened(collection, timeout_s) as client:
            yield client
    except Away as away:
        why = "Your cloud’s data server is starting or stands still. Try again in a moment."
        raise Unavailable("data_server_away", why) from away
    except NotThere:
        raise
    except Refused as refusal:
        raise type(refusal)(refusal.code, str(refusal), field=field) from refusal


def part(parts: tuple[Part, ...], name: str) -> Part:
    """Raises NotThere."""
    for one in parts:
        if one.name == name:
            return one
    raise NotThere("not_there", "There is nothing of that name.")
