"""Imports in two steps: an archive is staged beside the collection and looked at; then applied, whole or not at all.

It comes in one request (`stage`), or in parts (receiving.py) and is then unpacked (`stage_parts`).
"""

import asyncio
import json
import secrets
import shutil
from collections.abc import AsyncIterator
from enum import StrEnum
from typing import Any

import apsw

from tenants.data_server import archives, bases, database, disk, documents, drives, receiving, schema
from tenants.data_server.archives import Archive, BaseEntry, FileEntry
from tenants.data_server.blobs import Blob, Blobs
from tenants.data_server.collection import Collection
from tenants.data_server.database import Transaction
from tenants.data_server.errors import Conflict, Full, NotFound, Refused, TooLarge
from tenants.data_server.receiving import Place

_PROBLEMS = 100
_OVERHEAD_BYTES = 64 * 1024 * 1024


class Conflicts(StrEnum):
    """What to do with a key or a file name that is taken."""

    SKIP = "skip"
    REPLACE = "replace"
    FAIL = "fail"


async def stage(collection: Collection, content: AsyncIterator[bytes], announced_bytes: int | None) -> dict[str, Any]:
    """Receive and unpack. The preview: `{id, bases, drives, bytes, ignored, problems}`. After Refused nothing remains.

    What is staged goes after a day.
    """
    room = collection.usage.room_for
    if announced_bytes is not None and not room(announced_bytes):
        raise Full
    import_id = secrets.token_hex(8)
    place = receiving.place_of(collection, import_id)
    disk.make(place.folder)
    loop = asyncio.get_running_loop()
    try:
        received = Blobs(place.folder / "received", collection.threads)
        most = limit(collection)
        blob = await received.receive(content, most, lambda size: size <= most)
        received.path(blob.name).rename(place.archive)
        await loop.run_in_executor(collection.threads, _unpack, place, collection)
        return await _seen(collection, place, import_id)
    except BaseException:
        await loop.run_in_executor(collection.threads, shutil.rmtree, place.folder, True)
        raise


async def stage_parts(collection: Collection, import_id: str) -> dict[str, Any]:
    """Unpack what came in parts, and answer like `stage`. Again, also after a crash in between: the same answer.

    Raises NotFound, and Refused for a missing part, or for an archive that is none: then nothing remains. After Full and
    TooLarge the parts stay.
    """
    place = receiving.place_of(collection, import_id)
    loop = asyncio.get_running_loop()
    async with collection.unpacking:  # whoever asked first may have gone away meanwhile
        if not place.unpacked.exists():
            receiving.check_whole(place)
            try:
                await loop.run_in_executor(collection.threads, _unpack, place, collection)
            except (Full, TooLarge):
                raise
            except Refused:
                await loop.run_in_executor(collection.threads, shutil.rmtree, place.folder, True)
                raise
        return await _seen(collection, place, import_id)


async def _seen(collection: Collection, place: Place, import_id: str) -> dict[str, Any]:
    preview = await collection.scan(lambda db: _preview(db, place, collection.clock()))
    return {"id": import_id, **preview, **json.loads(place.unpacked.read_text())}


async def apply(collection: Collection, import_id: str, conflicts: Conflicts) -> dict[str, Any]:
    """In one transaction. Again: the same answer, no change. Raises Conflict, Full, NotFound, Refused for problems."""
    place = receiving.place_of(collection, import_id)
    done = collection.reader.execute("SELECT report FROM applied WHERE import = ?", (import_id,)).get
    if done is None:
        if not place.unpacked.exists():
            raise NotFound("There is no such import")
        await asyncio.get_running_loop().run_in_executor(collection.threads, _adopt_blobs, collection, place)
        done = await collection.write(lambda t: _merge(t, import_id, conflicts, collection.clock()), place.staged)
    discard(collection, import_id)
    report: dict[str, Any] = json.loads(done)
    return report


def discard(collection: Collection, import_id: str) -> None:
    """Safe to repeat."""
    shutil.rmtree(receiving.place_of(collection, import_id).folder, ignore_errors=True)


def limit(collection: Collection) -> int:
    """What an archive may measure: what there is room for, and a margin for what will be skipped or ignored."""
    free = shutil.disk_usage(collection.folder).free
    return max(0, free // 2 - _OVERHEAD_BYTES)


def _unpack(place: Place, collection: Collection) -> None:
    """Begins anew where an earlier try was killed. In a thread. Raises Refused, TooLarge, Full."""
    for left in place.folder.glob(f"{place.staged.name}*"):
        left.unlink()
    shutil.rmtree(place.blobs, ignore_errors=True)
    problems, ignored = _unpack_archive(place, collection)
    disk.sync_all(place.folder)  # what says that all is there must not be there before it
    # What is wrong with single items, and entries that mean nothing here.
    receiving.keep(place.unpacked, {"problems": problems, "ignored": ignored})
    place.archive.unlink()
    shutil.rmtree(place.parts, ignore_errors=True)


def _unpack_archive(place: Place, collection: Collection) -> tuple[list[str], list[str]]:
    archive = Archive(place.archive)
    db = database.connect(place.staged)
    try:
        if archive.size_bytes() > limit(collection):
            raise TooLarge("The archive unpacks to more than there is room for")
        schema.migrate(db, schema.STAGED)
        problems: list[str] = []
        exact = _exact_names(archive)
        with db:
            for base in archive.bases:
                _unpack_base(db, archive, base, problems)
            blobs = Blobs(place.blobs, collection.threads, durable=False)
            for file in archive.files:
                _unpack_file(db, archive, file, blobs, exact.get(file.path, {}))
            db.executemany("INSERT INTO problems(text) VALUES (?)", [(problem,) for problem in problems])
        return problems, archive.ignored[:_PROBLEMS]
    finally:
        archive.close()
        db.close()


def _exact_names(archive: Archive) -> dict[str, dict[str, Any]]:
    """By path, what the manifest knows about files."""
    return {line["path"]: line for line in archive.lines() if isinstance(line.get("path"), str) and "drive" in line}


def _unpack_base(db: apsw.Connection, archive: Archive, entry: BaseEntry, problems: list[str]) -> None:
    for index, item in enumerate(archive.items(entry)):
        try:
            one = documents.document(item, f"{entry.info.filename}[{index}]")
        except Refused as error:
            if len(problems) < _PROBLEMS:
                problems.append("; ".join(error.errors))
            continue
        row = (entry.base, one.key, one.text, one.size_bytes, one.expires)
        db.execute("INSERT OR REPLACE INTO items(base, key, doc, bytes, expires) VALUES (?, ?, jsonb(?), ?, ?)", row)
    db.execute("INSERT OR IGNORE INTO bases(name) VALUES (?)", (entry.base,))


def _unpack_file(db: apsw.Connection, archive: Archive, entry: FileEntry, blobs: Blobs, known: dict[str, Any]) -> None:
    blob = blobs.store(archive.content(entry.info))
    name = known.get("name", entry.name)
    if not isinstance(name, str) or not drives.is_name(name):
        raise Refused(f"{entry.info.filename}: not the name of a file")
    _check_sums(entry, blob, blobs, known.get("chunks"))
    kind = drives.type_of(known["type"] if isinstance(known.get("type"), str) else None, name)
    row = (entry.drive, name, kind, blob.size_bytes, blob.name, blob.crc, blob.sha256)
    try:
        db.execute("INSERT INTO files(drive, name, type, bytes, blob, crc, sha256) VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    except apsw.ConstraintError:
        raise Refused(f"{entry.info.filename}: the file '{name}' is there twice") from None


def _check_sums(entry: FileEntry, blob: Blob, blobs: Blobs, chunks: object) -> None:
    """Raises Refused where the content is not what the manifest says."""
    if not isinstance(chunks, list):
        return
    try:
        same = archives.sums(blobs.path(blob.name), [int(size) for size, _ in chunks]) == [
            digest for _, digest in chunks
        ]
    except (TypeError, ValueError):
        same = False
    if not same:
        raise Refused(f"{entry.info.filename}: its SHA-256 is not that of the manifest")


def _preview(db: apsw.Connection, place: Place, now: float) -> dict[str, Any]:
    staged = database.connect(place.staged, readonly=True)
    try:
        found_bases: list[dict[str, Any]] = []
        for (name,) in staged.execute("SELECT name FROM bases ORDER BY name"):
            one = {"name": name, "items": 0, "bytes": 0, "conflicts": 0}
            for key, size in staged.execute("SELECT key, bytes FROM items WHERE base = ?", (name,)):
                one["items"] += 1
                one["bytes"] += size
                one["conflicts"] += db.execute(bases.EXISTS, (name, key, now)).get is not None
            found_bases.append(one)
        found_drives: dict[str, dict[str, Any]] = {}
        for drive, name, size in staged.execute("SELECT drive, name, bytes FROM files ORDER BY drive"):
            one = found_drives.setdefault(drive, {"name": drive, "files": 0, "bytes": 0, "conflicts": 0})
            one["files"] += 1
            one["bytes"] += size
            one["conflicts"] += drives.find(db, drive, name) is not None
        size = sum(one["bytes"] for one in (*found_bases, *found_drives.values()))
        return {"bases": found_bases, "drives": list(found_drives.values()), "bytes": size}
    finally:
        staged.close()


def _adopt_blobs(collection: Collection, place: Place) -> None:
    """Before the rows that name them; without those they are swept."""
    staged = database.connect(place.staged, readonly=True)
    try:
        blobs = Blobs(place.blobs, collection.threads)
        names = (name for (name,) in staged.execute("SELECT blob FROM files"))
        collection.blobs.adopt((blobs.path(name), name) for name in names)
    finally:
        staged.close()


def _merge(transaction: Transaction, import_id: str, conflicts: Conflicts, now: float) -> str:
    db = transaction.db
    problem = db.execute("SELECT text FROM staged.problems LIMIT 1").get
    if problem is not None:
        raise Refused(f"The archive holds items that cannot be stored: {problem}")
    report: dict[str, Any] = {"items": 0, "files": 0, "skipped": 0, "replaced": 0}
    for (base,) in database.rows(db, "SELECT name FROM staged.bases ORDER BY name"):
        _merge_base(transaction, base, conflicts, report, now)
    for row in database.rows(db, "SELECT drive, name, type, blob, bytes, crc, sha256 FROM staged.files"):
        _merge_file(transaction, row, conflicts, report, now)
    text = json.dumps(report)
    db.execute("INSERT INTO main.applied(import, report, at) VALUES (?, ?, ?)", (import_id, text, now))
    return text


# Of what is staged, that for which nothing is there that has not expired.
_FREE = (
    " AND NOT EXISTS (SELECT 1 FROM main.items AS old"
    " WHERE old.base = :id AND old.key = new.key AND ifnull(old.expires > :now, 1))"
)


def _merge_base(transaction: Transaction, base: str, conflicts: Conflicts, report: dict[str, Any], now: float) -> None:
    """All items by a few statements: the writer stands still meanwhile."""
    db = transaction.db
    number = bases.base_id(db, base)
    here = {"id": number, "base": base, "now": now}

    def sums(statement: str) -> tuple[int, int]:
        count, size_bytes = db.execute(statement, here).fetchone() or (0, 0)
        return int(count), int(size_bytes)

    staged = "FROM staged.items AS new WHERE new.base = :base"
    everything, all_free = sums(f"SELECT count(*), 0 {staged}")[0], sums(f"SELECT count(*), 0 {staged}{_FREE}")[0]
    taken = everything - all_free
    if taken and conflicts is Conflicts.FAIL:
        raise Conflict(f"{taken} keys of base '{base}' exist already")
    if conflicts is Conflicts.SKIP:
        staged += _FREE
    added = sums(f"SELECT count(*), ifnull(sum(bytes), 0) {staged}")
    old = f"FROM main.items WHERE base = :id AND key IN (SELECT new.key {staged})"
    replaced = sums(f"SELECT count(*), ifnull(sum(bytes), 0) {old}")
    db.execute(
        "INSERT OR REPLACE INTO main.items(base, key, doc, bytes, expires)"
        f" SELECT :id, key, doc, bytes, expires {staged} ORDER BY key",
        here,
    )
    transaction.grow("bases", number, added[0] - replaced[0], added[1] - replaced[1])
    report["items"] += added[0]
    report["skipped" if conflicts is Conflicts.SKIP else "replaced"] += taken


def _merge_file(
    transaction: Transaction, row: tuple[Any, ...], conflicts: Conflicts, report: dict[str, Any], now: float
) -> None:
    drive, name, kind, *blob = row
    if drives.find(transaction.db, drive, name) is not None:
        if conflicts is Conflicts.FAIL:
            raise Conflict(f"The file '{name}' of drive '{drive}' exists already")
        report["skipped" if conflicts is Conflicts.SKIP else "replaced"] += 1
        if conflicts is Conflicts.SKIP:
            return
    drives.replace(transaction, drive, name, kind, [Blob(*blob)] if blob[1] else [], now)
    report["files"] += 1
