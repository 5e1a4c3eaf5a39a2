"""Use-cases of an archive that comes in parts, so that it may be of any size and go on where it broke off.

The parts are the data server's. The row is written first and names what is begun there; whoever was killed in between
begins again and goes on, and what nobody goes on with is swept after a day, here and there.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.crypto import get_random_string

from k8s.errors import ClusterError
from tenants import steps
from tenants.errors import Conflict, Refused, Unavailable
from tenants.models import Collection, Import, Operation, OperationKind, User
from tenants.reconcile import data_admin
from tenants.services.collections import lock_collection
from tenants.services.contents import Away, check_open, upstream_of
from tenants.services.transfers import lock_idle
from tenants.tasks import enqueue_transfer

LOOK_STEPS = (("receive", "Unpack and check the archive"),)
AT_ONCE = 5  # uploads of a collection that go on
PART_LIMIT_BYTES = 16 * 1024 * 1024
PART_TIMEOUT_S = 120.0
FINGERPRINT_LIMIT = 200
_SIZE_LIMIT = 2**42
_SHA256 = re.compile(r"[0-9a-fA-F]{64}|")


@dataclass(frozen=True)
class Progress:
    """parts: numbers, from 1, of those that are there; each is part_bytes long, the last one as long as what is left."""

    size_bytes: int
    part_bytes: int
    parts: tuple[int, ...]


def begin(actor: User, collection: Collection, size_bytes: int, fingerprint: str) -> tuple[Import, Progress]:
    """Both in one; see `note` and `progress`."""
    row = note(actor, collection, size_bytes, fingerprint)
    return row, progress(row)


@transaction.atomic
def note(actor: User, collection: Collection, size_bytes: int, fingerprint: str) -> Import:
    """An upload; the one that goes on already where the same archive is said to come again.

    fingerprint: what whoever sends it knows the archive by, such as its SHA-256. Raises Refused (size_bytes, fingerprint).
    """
    if not 0 < size_bytes <= _SIZE_LIMIT:
        raise Refused("invalid_size", "Say how many bytes the archive has.", field="size_bytes")
    if len(fingerprint) > FINGERPRINT_LIMIT or not fingerprint.isprintable():
        why = f"At most {FINGERPRINT_LIMIT} printable characters."
        raise Refused("invalid_fingerprint", why, field="fingerprint")
    locked = lock_collection(collection)
    going_on = locked.imports.filter(preview__isnull=True, operation__isnull=True, looking__isnull=True)
    if fingerprint:
        known = going_on.filter(size_bytes=size_bytes, fingerprint=fingerprint).first()
        if known is not None:
            return known
    if going_on.count() >= AT_ONCE:
        going_on.order_by("touched_at")[0].delete()  # the data server sweeps what nobody goes on with
    staged = get_random_string(16, "0123456789abcdef")
    return Import.objects.create(collection=locked, staged=staged, size_bytes=size_bytes, fingerprint=fingerprint)


def progress(row: Import) -> Progress:
    """Begins it with the data server, where that did not happen. Raises Conflict for one that is complete, Refused where
    there is no room, Unavailable while the data server is not there."""
    _check_open(row)
    found = _ask(row, "PUT", "", json={"size_bytes": row.size_bytes})
    return Progress(found["size_bytes"], found["part_bytes"], tuple(found["parts"]))


def put_part(row: Import, number: int, sha256: str, content: Iterable[bytes], size_bytes: int) -> None:
    """content passes through as it comes. Sent again, it takes the place of the part.

    Raises Refused (part, sha256), Conflict for an upload that is complete, Unavailable.
    """
    _check_open(row)
    if not _SHA256.fullmatch(sha256):
        raise Refused("invalid_sha256", "A SHA-256 has 64 hexadecimal digits.", field="sha256")
    if size_bytes > PART_LIMIT_BYTES:
        raise Refused("part_too_large", "A part is as long as the upload says.", field="part")
    headers = {"Content-Length": str(size_bytes)}
    _ask(row, "PUT", f"/parts/{number}", params={"sha256": sha256}, content=content, headers=headers)
    Import.objects.filter(pk=row.pk).update(touched_at=timezone.now())


def check_whole(row: Import) -> None:
    """Before `finish`. Raises Refused (part) that names the first part that is missing, and as `progress` does."""
    if row.looking_id is not None or row.preview is not None:
        return
    found = progress(row)
    missing = set(range(1, -(-found.size_bytes // found.part_bytes) + 1)) - set(found.parts)
    if missing:
        raise Refused("part_missing", f"Part {min(missing)} has not come.", field="part")


@transaction.atomic
def finish(actor: User, row: Import) -> Import:
    """All parts were sent: look through the archive. Again: the same. Raises Conflict while something else goes on."""
    locked = lock_collection(row.collection)
    fresh = _lock(row)
    if fresh.preview is not None or (fresh.looking is not None and fresh.looking.state in steps.OPEN):
        return fresh
    lock_idle(locked)
    fresh.looking = steps.open_operation(OperationKind.LOOK, locked.cloud, LOOK_STEPS, actor=actor, collection=locked)
    fresh.touched_at = timezone.now()
    fresh.save(update_fields=["looking", "touched_at"])
    enqueue_transfer(fresh.looking.pk)
    return fresh


def look_again(actor: User, operation: Operation) -> Operation:
    """What failed of a look is tried again. Raises Conflict."""
    row = Import.objects.select_related("collection").filter(looking=operation).first()
    again = finish(actor, row).looking if row is not None else None
    if again is None:
        raise Conflict("not_repeatable", "Upload the archive again.")
    return again


def _lock(row: Import) -> Import:
    rows = Import.objects.select_for_update(no_key=True, of=("self",)).select_related(
        "looking", "operation", "collection"
    )
    found = rows.filter(pk=row.pk).first()
    if found is None:
        raise Conflict("upload_ended", "This upload has ended: begin it again.")
    return found


def _check_open(row: Import) -> None:
    if row.preview is not None or row.operation_id is not None or not row.size_bytes:
        raise Conflict("upload_complete", "The archive is complete.")


def _ask(row: Import, method: str, path: str, **request: Any) -> data_admin.Document:
    """Raises Refused in the data server's words, Unavailable."""
    collection = row.collection
    check_open(collection)
    try:
        with data_admin.connected(collection.cloud_id, upstream_of(collection), PART_TIMEOUT_S) as client:
            address = f"collections/{collection.project_id}/imports/{row.staged}{path}"
            return data_admin.document_of(client.request(method, address, **request), "an upload")
    except data_admin.Refusal as refusal:
        if refusal.status == data_admin.FULL:
            raise Refused("storage_full", f"{refusal.why}.", field="size_bytes") from refusal
        if refusal.status in (404, 409):
            raise Conflict("upload_ended", f"{refusal.why}: begin it again.") from refusal
        raise Refused("invalid_part", f"{refusal.why}.", field="part") from refusal
    except (Away, ClusterError) as error:
        why = "Your cloud’s data server is starting or stands still. Try again in a moment."
        raise Unavailable("data_server_away", why) from error
