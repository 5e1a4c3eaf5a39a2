"""What a collection holds now, asked of its data server. The one place where a page asks the inside of a cloud."""

from dataclasses import dataclass

from k8s.errors import ClusterError
from tenants.models import Collection, DataServer
from tenants.reconcile import data_admin
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


def contents_of(collection: Collection) -> Contents | None:
    """None while its server cannot say: it starts, stands still, or has not heard of the collection."""
    server = DataServer.objects.filter(cloud_id=collection.cloud_id).first()
    if server is None or server.state != DataServerState.RUNNING or not server.upstream:
        return None
    if collection.generation > server.observed_generation:
        return None
    try:
        with data_admin.connected(collection.cloud_id, server.upstream, TIMEOUT_S) as client:
            found = data_admin.ask(client, "GET", f"collections/{collection.project_id}")
    except ClusterError:
        return None
    bases = tuple(Part(part["name"], part["items"], part["bytes"]) for part in found["bases"])
    drives = tuple(Part(part["name"], part["files"], part["bytes"]) for part in found["drives"])
    return Contents(found["bytes"], bases, drives)
