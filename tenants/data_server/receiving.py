"""An archive that comes in parts, in any order and again: each is written into its place of one file, and noted once it is
on the disk. Who begins it names it, so that beginning twice is beginning once."""

import asyncio
import contextlib
import hashlib
import json
import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenants.data_server import disk
from tenants.data_server.blobs import gathered, write_at
from tenants.data_server.collection import Collection
from tenants.data_server.errors import Conflict, Full, NotFound, Refused

PART_BYTES = 8 * 1024 * 1024
_LAST_PART = 1_000_000
_ID = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Place:
    """Where an import lies until it is applied."""

    folder: Path

    @property
    def archive(self) -> Path:
        return self.folder / "archive.zip"

    @property
    def said(self) -> Path:
        """`{size_bytes}`, where the archive comes in parts."""
        return self.folder / "said.json"

    @property
    def parts(self) -> Path:
        """An empty file for each part that is there, called by its number."""
        return self.folder / "parts"

    @property
    def staged(self) -> Path:
        return self.folder / "staged.db"

    @property
    def unpacked(self) -> Path:
        """`{problems, ignored}`, once all of the archive is unpacked."""
        return self.folder / "unpacked.json"

    @property
    def blobs(self) -> Path:
        return self.folder / "blobs"


def place_of(collection: Collection, import_id: str) -> Place:
    """Raises NotFound for what cannot be the id of an import."""
    if not _ID.fullmatch(import_id):
        raise NotFound("There is no such import")
    return Place(collection.imports / import_id)


def begin(collection: Collection, import_id: str, size_bytes: int, limit_bytes: int) -> dict[str, Any]:
    """`{id, size_bytes, part_bytes, parts: numbers of those that are there}`. Again: the same, and what came stays.

    Raises Full where the archive could not be unpacked anyway, Conflict for another size than before.
    """
    place = place_of(collection, import_id)
    if not place.said.exists():
        if not 0 < size_bytes <= PART_BYTES * _LAST_PART:
            raise Refused("size_bytes must be the size of the archive")
        if size_bytes > limit_bytes or not collection.usage.room_for(size_bytes):
            raise Full
        disk.make(place.parts)
        keep(place.said, {"size_bytes": size_bytes})
    elif _size(place) != size_bytes:
        raise Conflict("This import was begun with another size")
    return look(collection, import_id)


def look(collection: Collection, import_id: str) -> dict[str, Any]:
    """As `begin` answers. Raises NotFound."""
    place = place_of(collection, import_id)
    size_bytes = _size(place)
    parts = sorted(int(file.name) for file in place.parts.iterdir()) if place.parts.is_dir() else []
    return {"id": import_id, "size_bytes": size_bytes, "part_bytes": PART_BYTES, "parts": parts}


async def put_part(
    collection: Collection, import_id: str, number: int, sha256: str, content: AsyncIterator[bytes]
) -> None:
    """On the disk when this returns. Sent again, it takes the place of itself. Holds 2 MiB at most.

    sha256: in hex, "" for unchecked. Raises NotFound, Refused for another length or checksum, Full.
    """
    place = place_of(collection, import_id)
    size_bytes = _size(place)
    begins = (number - 1) * PART_BYTES
    length = min(PART_BYTES, size_bytes - begins)
    if number < 1 or length <= 0:
        raise Refused(f"part must be a whole number from 1 to {count_of(size_bytes)}")
    if place.unpacked.exists():
        raise Conflict("The archive is complete and was unpacked already")
    noted = place.parts / str(number)
    noted.unlink(missing_ok=True)
    run = asyncio.get_running_loop().run_in_executor
    digest, done = hashlib.sha256(), 0
    descriptor = os.open(place.archive, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        async for piece in gathered(content):
            if done + len(piece) > length:
                raise Refused(f"part {number} must be {length} bytes long")
            digest.update(piece)
            await run(collection.threads, write_at, descriptor, piece, begins + done)
            done += len(piece)
        if done != length:
            raise Refused(f"part {number} must be {length} bytes long")
        if sha256 and digest.hexdigest() != sha256.lower():
            raise Refused(f"part {number} does not have the checksum that was sent with it: send it again")
        await run(collection.threads, os.fsync, descriptor)
    finally:
        os.close(descriptor)
    with contextlib.suppress(FileNotFoundError):  # discarded meanwhile
        noted.touch()
        os.utime(place.folder)  # it is not stale
        await run(collection.threads, disk.sync, place.parts)


def check_whole(place: Place) -> None:
    """Raises NotFound, and Refused that names the first part that is not there."""
    for number in range(1, count_of(_size(place)) + 1):
        if not (place.parts / str(number)).exists():
            raise Refused(f"part {number} is missing")


def count_of(size_bytes: int) -> int:
    return -(-size_bytes // PART_BYTES)


def keep(file: Path, value: dict[str, Any]) -> None:
    """Whole or not at all, also after a power cut."""
    draft = file.with_suffix(".draft")
    with draft.open("w") as opened:
        json.dump(value, opened)
        opened.flush()
        os.fsync(opened.fileno())
    draft.rename(file)
    disk.sync(file.parent)


def _size(place: Place) -> int:
    try:
        return int(json.loads(place.said.read_text())["size_bytes"])
    except FileNotFoundError:
        raise NotFound("There is no such import") from None
