"""Exports, imports, looks into archives, and wipes of collections: each is asked of the data server until it has done it.

Every call may be repeated. An export ends those of its collection before it; an import that is applied again answers with
what the first time did; while a collection is being wiped nothing else is done to it.
"""

import hashlib
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
from django.db import transaction
from django.utils import timezone

from k8s.errors import ClusterError, Permanent, Temporary
from tenants import logs, steps
from tenants.models import Cloud, Collection, DataServer, Export, Import, Operation, OperationKind
from tenants.reconcile import data_admin
from tenants.reconcile.advisory import held
from tenants.states import HELD, CloudState, CollectionState, DataServerState, WorkState

log = logging.getLogger(__name__)
KINDS = (OperationKind.EXPORT, OperationKind.LOOK, OperationKind.IMPORT, OperationKind.WIPE)
# Who leaves takes everything along, also out of a cloud that is held or closing.
LEAVING = (*HELD, CloudState.CLOSING)
SHOWN = 200
# The data server reads or writes a whole collection for one answer.
LONG_S = 900.0
LOOKED_AT_KEPT = timedelta(days=1)  # as long as the data server keeps what is staged
_OVER = (WorkState.SUCCEEDED, WorkState.FAILED, WorkState.CANCELLED)
AT_ONCE = 4  # exports of a cloud that can be fetched; its data server keeps no more
_GONE = "What was uploaded is not there any more: upload the archive again."
_TELL_S = 1.0
_PIECE_BYTES = 1024 * 1024
_MIB = 1024 * 1024


def reconcile(operation_id: str) -> None:
    """Do it, if nobody else is at it. What is over, or cannot be done yet, is left alone."""
    with held(f"transfer:{operation_id}", wait_s=0) as mine:
        rows = Operation.objects.filter(pk=operation_id, kind__in=KINDS, state__in=steps.OPEN)
        operation = rows.select_related("cloud", "collection").first() if mine else None
        if operation is None or not steps.is_due(operation):
            return
        logs.also(cloud=operation.cloud_id)
        collection = operation.collection
        if collection is None or collection.state == CollectionState.REMOVING:
            steps.cancel(operation, "The collection was deleted meanwhile.")
        elif is_possible(OperationKind(operation.kind), operation.cloud):
            _try(operation, collection)


def is_possible(kind: OperationKind, cloud: Cloud) -> bool:
    return cloud.state == CloudState.ACTIVE or (kind == OperationKind.EXPORT and cloud.state in LEAVING)


def _try(operation: Operation, collection: Collection) -> None:
    try:
        with data_admin.connected(collection.cloud_id, _upstream(collection), LONG_S) as client:
            _DO[OperationKind(operation.kind)](operation, collection, client)
    except Temporary as error:
        if not steps.postpone(operation, str(error), error.retry_after_s):
            steps.fail(operation, str(error))
    except ClusterError as error:
        steps.fail(operation, str(error))


def _upstream(collection: Collection) -> str:
    server = DataServer.objects.filter(cloud_id=collection.cloud_id).first()
    if server is None or not server.upstream or server.state != DataServerState.RUNNING:
        raise Temporary("the data server is starting, or stands still", retry_after_s=1)
    if collection.generation > server.observed_generation:
        raise Temporary("the data server has not heard of the collection yet", retry_after_s=1)
    return server.upstream


def _export(operation: Operation, collection: Collection, client: httpx.Client) -> None:
    export = operation.export
    if not export.remote:
        steps.start(operation, "prepare")
        _make(export, collection, client)
    steps.finish(operation, "prepare")
    sha256 = _checksum(operation, export, client)
    with transaction.atomic():
        Export.objects.filter(pk=export.pk).update(sha256=sha256)
        steps.succeed(operation)


def _make(export: Export, collection: Collection, client: httpx.Client) -> None:
    """Those before it end, also one that was made by somebody who was killed before he could write it down."""
    path = f"collections/{collection.project_id}/exports"
    if client.delete(path).status_code == 405:
        raise Temporary("the data server is being upgraded", retry_after_s=2)
    others = Export.objects.filter(collection__cloud=collection.cloud_id, ended_at__isnull=True).exclude(pk=export.pk)
    others.filter(collection=collection).update(ended_at=timezone.now())
    for old in others.exclude(remote="").filter(operation__state__in=_OVER).order_by("-made_at")[AT_ONCE - 1 :]:
        data_admin.ask(client, "DELETE", f"exports/{old.remote}")
        Export.objects.filter(pk=old.pk).update(ended_at=timezone.now())
    made = _told(client.post(path))
    export.remote, export.size_bytes = made["id"], made["size_bytes"]
    export.made_at = datetime.fromtimestamp(made["made"], UTC)
    export.save(update_fields=["remote", "size_bytes", "made_at"])


def _checksum(operation: Operation, export: Export, client: httpx.Client) -> str:
    """SHA-256 of the zip, read once from beginning to end as whoever fetches it will."""
    steps.start(operation, "check")
    digest, done, shown = hashlib.sha256(), 0, time.monotonic()
    with client.stream("GET", f"exports/{export.remote}") as answer:
        if answer.status_code == 410:  # the server was restarted in between: the next try makes another
            Export.objects.filter(pk=export.pk).update(remote="")
            raise Temporary("the data server let the export go", retry_after_s=0.5)
        if not answer.is_success:
            raise Temporary(f"the data server answered {answer.status_code}", retry_after_s=1)
        for piece in answer.iter_bytes(_PIECE_BYTES):
            digest.update(piece)
            done += len(piece)
            if time.monotonic() - shown > _TELL_S:
                shown = time.monotonic()
                steps.start(operation, "check", f"{done // _MIB} of {export.size_bytes // _MIB} MiB")
    return digest.hexdigest()


def _look(operation: Operation, collection: Collection, client: httpx.Client) -> None:
    """All parts are there: what does the archive hold? Unpacked once, however often asked."""
    row = operation.looked_at
    steps.start(operation, "receive")
    answer = client.post(f"collections/{collection.project_id}/imports/{row.staged}/stage")
    if answer.status_code == 404:
        raise Permanent(_GONE)
    preview = seen(_told(answer))
    with transaction.atomic():
        Import.objects.filter(pk=row.pk).update(preview=preview, touched_at=timezone.now())
        steps.succeed(operation)


def seen(found: data_admin.Document) -> data_admin.Document:
    """What an archive holds: `{items, files, bytes, conflicts, bases, drives, ignored, problems}`; lists are cut after the
    first 200."""
    bases, drives = found["bases"], found["drives"]
    return {
        "items": sum(one["items"] for one in bases),
        "files": sum(one["files"] for one in drives),
        "bytes": found["bytes"],
        "conflicts": sum(one["conflicts"] for one in (*bases, *drives)),
        "bases": bases[:SHOWN],
        "drives": drives[:SHOWN],
        "ignored": found["ignored"][:SHOWN],
        "problems": found["problems"][:SHOWN],
    }


def _import(operation: Operation, collection: Collection, client: httpx.Client) -> None:
    row = operation.data_import
    steps.start(operation, "apply")
    answer = client.post(
        f"collections/{collection.project_id}/imports/{row.staged}/apply", json={"conflicts": row.conflicts}
    )
    if answer.status_code == 404:
        raise Permanent(_GONE)
    report = _told(answer)
    with transaction.atomic():
        Import.objects.filter(pk=row.pk).update(report=report)
        steps.succeed(operation)


def _wipe(operation: Operation, collection: Collection, client: httpx.Client) -> None:
    steps.start(operation, "wipe")
    _told(client.post(f"collections/{collection.project_id}/wipe"))
    steps.succeed(operation)


def _told(answer: httpx.Response) -> data_admin.Document:
    """Its document. What it refuses is for people to read, so without what was asked."""
    try:
        return data_admin.document_of(answer, "a transfer")
    except data_admin.Refusal as refusal:
        raise Permanent(f"{refusal.why}.") from refusal


def forget_looked_at() -> None:
    """Archives that nobody took, or of which nothing more came; the data server has thrown them away."""
    Import.objects.filter(operation__isnull=True, touched_at__lt=timezone.now() - LOOKED_AT_KEPT).delete()


_DO: dict[OperationKind, Callable[[Operation, Collection, httpx.Client], None]] = {
    OperationKind.EXPORT: _export,
    OperationKind.LOOK: _look,
    OperationKind.IMPORT: _import,
    OperationKind.WIPE: _wipe,
}
