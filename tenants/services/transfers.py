"""Use-cases of a collection as a whole: exporting it, importing into it, wiping it.

An archive is handed to the data server before any row is written, as an uploaded bundle is: nothing of it lies with the
provider. What is staged there and named by no row goes by itself after a day.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction

from k8s.errors import ClusterError
from tenants import steps
from tenants.errors import Conflict, Refused, Unavailable
from tenants.models import Cloud, Collection, Export, Import, Operation, OperationKind, User
from tenants.reconcile import data_admin
from tenants.reconcile.transfers import LONG_S, seen
from tenants.services import data_sleep, leaving, quota
from tenants.services.collections import lock_collection
from tenants.services.contents import Away, upstream_of
from tenants.tasks import enqueue_transfer

EXPORT_STEPS = (("prepare", "Read what the collection holds"), ("check", "Compute the checksum"))
IMPORT_STEPS = (("receive", "Receive and check the archive"), ("apply", "Write it into the collection"))
WIPE_STEPS = (("wipe", "Delete everything in the collection"),)
CONFLICTS = ("fail", "skip", "replace")


@dataclass(frozen=True)
class Staged:
    """An archive that the data server has unpacked beside the collection. preview: see reconcile.transfers.seen."""

    id: str
    sha256: str
    preview: dict[str, Any]


@transaction.atomic
def start_export(actor: User, collection: Collection) -> Export:
    """It is as of a moment soon; the one before it can be fetched no more. Raises Conflict while something else goes on.

    Also out of a cloud that is suspended, or closing and not yet being erased: its data server is brought up for it.
    """
    locked = lock_idle(collection, leaving.lock)
    leaving.keep_up(locked.cloud)
    operation = steps.open_operation(OperationKind.EXPORT, locked.cloud, EXPORT_STEPS, actor=actor, collection=locked)
    export = Export.objects.create(collection=locked, operation=operation)
    enqueue_transfer(operation.pk)
    return export


@transaction.atomic
def wipe_collection(actor: User, collection: Collection) -> Operation:
    """All bases and drives, for good; keys and the collection stay. Raises Conflict while something else goes on."""
    locked = lock_idle(collection)
    operation = steps.open_operation(OperationKind.WIPE, locked.cloud, WIPE_STEPS, actor=actor, collection=locked)
    enqueue_transfer(operation.pk)
    return operation


def check_choice(conflicts: str) -> None:
    """Raises Refused (field conflicts)."""
    if conflicts not in CONFLICTS:
        raise Refused("invalid_conflicts", f"Choose one of {', '.join(CONFLICTS)}.", field="conflicts")


def stage_archive(collection: Collection, file: "UploadedFile[Any]") -> Staged:
    """Hand a zip to the data server, which looks through all of it. No rows are written.

    Raises Refused (field archive), Unavailable while the data server is not there.
    """
    path = f"collections/{collection.project_id}/imports"
    digest = hashlib.sha256()

    def content() -> Any:
        for piece in file.chunks():
            digest.update(piece)
            yield piece

    try:
        with data_admin.connected(collection.cloud_id, _upstream(collection), LONG_S) as client:
            answer = client.post(path, content=content(), headers={"Content-Length": str(file.size or 0)})
        found = data_admin.document_of(answer, f"POST {path}")
    except data_admin.Refusal as refusal:
        code = "storage_full" if refusal.status == data_admin.FULL else "invalid_archive"
        raise Refused(code, f"{refusal.why}.", field="archive") from refusal
    except ClusterError as error:
        raise _away() from error
    return Staged(found["id"], digest.hexdigest(), seen(found))


def discard_staged(collection: Collection, staged: Staged) -> None:
    """Nobody will take it. If this is lost, it goes after a day."""
    try:
        with data_admin.connected(collection.cloud_id, _upstream(collection)) as client:
            client.delete(f"collections/{collection.project_id}/imports/{staged.id}")
    except (ClusterError, Unavailable):
        return


@transaction.atomic
def look_at_archive(actor: User, collection: Collection, staged: Staged) -> Import:
    """Keep what was staged, for a day, until somebody decides."""
    locked = lock_collection(collection)
    return Import.objects.create(collection=locked, staged=staged.id, preview=staged.preview)


@transaction.atomic
def apply_import(actor: User, data_import: Import, conflicts: str) -> Import:
    """Write it into the collection, whole or not at all. Raises Refused (conflicts, archive), Conflict."""
    check_choice(conflicts)
    locked = lock_idle(data_import.collection)
    row = Import.objects.select_for_update(no_key=True, of=("self",)).select_related("operation").get(pk=data_import.pk)
    if row.operation is not None and (row.report is not None or row.operation.state in steps.OPEN):
        raise Conflict("already_imported", "This archive was imported already.")
    if row.preview is None:
        raise Conflict("import_not_ready", "The archive is not complete, or not looked through yet.")
    problems = row.preview["problems"]
    if problems:
        why = f"The archive holds items that cannot be stored: {problems[0]}"
        raise Refused("invalid_archive", why, field="archive", detail={"problems": problems})
    found = row.preview["conflicts"]
    if conflicts == "fail" and found:
        why = f"{found} of the archive’s items and files are there already: skip or replace them, or give up."
        raise Conflict("import_conflicts", why, field="conflicts", detail={"conflicts": found})
    row.operation = steps.open_operation(
        OperationKind.IMPORT, locked.cloud, IMPORT_STEPS, actor=actor, collection=locked, done=("receive",)
    )
    row.conflicts = conflicts
    row.save(update_fields=["operation", "conflicts"])
    enqueue_transfer(row.operation.pk)
    return row


def retry_transfer(actor: User, operation: Operation) -> Operation:
    """Ask again for what failed. Raises Conflict for a collection that is gone."""
    collection = operation.collection
    if collection is None:
        raise Conflict("not_repeatable", "The collection is not there any more.")
    if operation.kind == OperationKind.EXPORT:
        return start_export(actor, collection).operation
    if operation.kind == OperationKind.WIPE:
        return wipe_collection(actor, collection)
    row = Import.objects.select_related("collection").filter(operation=operation).first()
    if row is None:
        raise Conflict("not_repeatable", "Upload the archive again.")
    again = apply_import(actor, row, row.conflicts).operation
    if again is None:
        raise TypeError("an import that was begun has an operation")
    return again


def lock_idle(collection: Collection, lock: Callable[[str], Cloud] = quota.lock) -> Collection:
    """lock: what locks the cloud and says whether it takes this. Raises Conflict while something else goes on."""
    locked = lock_collection(collection, lock)
    if locked.operations.filter(state__in=steps.OPEN).exists():
        raise Conflict("collection_busy", "The collection is being exported, imported into, or wiped. Wait for that.")
    data_sleep.rouse(locked.cloud_id)
    return locked


def _upstream(collection: Collection) -> str:
    try:
        return upstream_of(collection)
    except Away as away:
        raise _away() from away


def _away() -> Unavailable:
    why = "Your cloud’s data server is starting or stands still. Try again in a moment."
    return Unavailable("data_server_away", why)
