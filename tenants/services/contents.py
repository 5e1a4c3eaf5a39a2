"""What a collection holds now, asked of its data server; and how pages reach the inside of a cloud at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from k8s.errors import ClusterError
from tenants.errors import Conflict, Refused
from tenants.models import Collection
from tenants.reconcile import data_admin
from tenants.services import data_sleep
from tenants.states import DataServerState

TIMEOUT_S = 3.0


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


def part(parts: tuple[Part, ...], name: str) -> Part:
    """Raises NotThere."""
    for one in parts:
        if one.name == name:
            return one
    raise NotThere("not_there", "There is nothing of that name.")
