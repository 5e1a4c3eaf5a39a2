"""What Drive does to a collection. Everything raises Refused for what the caller did wrong."""

import asyncio
import mimetypes
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass

import apsw

from tenants.data_server import database
from tenants.data_server.blobs import Blob
from tenants.data_server.collection import Collection, drop_uploads
from tenants.data_server.database import Transaction
from tenants.data_server.errors import NotFound, Refused
from tenants.data_server.prefilter import successor

PART_BYTES = 10 * 1024 * 1024
NAMES = 1000
_NAME_BYTES = 4096
_SMALL_BYTES = 1024 * 1024
_JOINED_BYTES = 8 * 1024 * 1024
_LAST_PART = 1_000_000
_ANY_TYPE = "application/octet-stream"
_GENERIC = {"", "binary/octet-stream"}
_TYPE_LENGTH = 255


@dataclass(frozen=True)
class Stored:
    """A file as of one instant. chunks: its content in order."""

    id: int
    name: str
    type: str
    size_bytes: int
    stored: float
    chunks: tuple[Blob, ...]


@dataclass(frozen=True)
class Upload:
    id: str
    drive: str
    name: str


def check_name(name: object) -> str:
    """Raises Refused for what cannot be the name of a file, and for what would lead out of a folder it is exported to."""
    if not isinstance(name, str) or not is_name(name):
        raise Refused("invalid name")
    return name


def is_name(name: str) -> bool:
    if not name.strip() or name.endswith("/") or "\0" in name or ".." in name.replace("\\", "/").split("/"):
        return False
    try:
        return len(name.encode()) <= _NAME_BYTES
    except UnicodeEncodeError:
        return False


async def put(
    collection: Collection, drive: str, name: str, content_type: str | None, content: AsyncIterator[bytes]
) -> None:
    """In one request; the file that was there stays until the new one is on the disk."""
    blob = await collection.blobs.receive(content, PART_BYTES, collection.usage.room_for)
    kind = type_of(content_type, name)
    await _naming(collection, blob, lambda t: replace(t, drive, name, kind, [blob], collection.clock()))


async def begin(collection: Collection, drive: str, name: str, content_type: str | None) -> Upload:
    upload = Upload(secrets.token_hex(16), drive, name)

    def work(transaction: Transaction) -> None:
        row = (upload.id, drive, name, content_type, collection.clock())
        transaction.db.execute("INSERT INTO uploads(id, drive, name, type, touched) VALUES (?, ?, ?, ?, ?)", row)

    await collection.write(work)
    return upload


async def put_part(
    collection: Collection, upload: Upload, number: int, content_type: str | None, content: AsyncIterator[bytes]
) -> None:
    """Sent again, it takes the place of what was sent before. Raises NotFound for an upload that does not go on."""
    if not 1 <= number <= _LAST_PART:
        raise Refused(f"part must be a whole number from 1 to {_LAST_PART}")
    _find(collection.reader, upload)
    blob = await collection.blobs.receive(content, PART_BYTES, collection.usage.room_for)

    def work(transaction: Transaction) -> None:
        db = transaction.db
        _find(db, upload)
        old = database.rows(db, "SELECT blob, bytes FROM parts WHERE upload = ? AND n = ?", (upload.id, number))
        db.executemany("INSERT INTO garbage(blob) VALUES (?)", [(name,) for name, _ in old])
        row = (upload.id, number, blob.name, blob.size_bytes, blob.crc, blob.sha256)
        db.execute("INSERT OR REPLACE INTO parts(upload, n, blob, bytes, crc, sha256) VALUES (?, ?, ?, ?, ?, ?)", row)
        given = (collection.clock(), content_type, upload.id)
        db.execute("UPDATE uploads SET touched = ?, type = coalesce(type, ?) WHERE id = ?", given)
        transaction.charge(blob.size_bytes - sum(size for _, size in old))

    await _naming(collection, blob, work)


async def parts(collection: Collection, upload: Upload) -> list[tuple[int, int]]:
    """Number and bytes of what has arrived, for whoever resumes. Raises NotFound."""
    _find(collection.reader, upload)
    rows = "SELECT n, bytes FROM parts WHERE upload = ? ORDER BY n"
    return [(number, size) for number, size in database.rows(collection.reader, rows, (upload.id,))]


async def finish(collection: Collection, upload: Upload) -> None:
    """The file is there, whole, when this returns; without parts it is empty. Raises NotFound, Refused for a gap."""
    _find(collection.reader, upload)
    with collection.pinned():
        sent = _sent(collection.reader, upload)
        joined = await asyncio.get_running_loop().run_in_executor(collection.threads, _join_small, collection, sent)

        def work(transaction: Transaction) -> None:
            db = transaction.db
            content_type = _find(db, upload)
            if _sent(db, upload) != sent:
                raise Refused("A part arrived while the upload was being finished: finish again")
            kept = {blob.name for blob in joined}
            unused = [(blob.name,) for blob in sent if blob.name not in kept]
            db.executemany("INSERT INTO garbage(blob) VALUES (?)", unused)
            db.execute("DELETE FROM parts WHERE upload = ?", (upload.id,))
            db.execute("DELETE FROM uploads WHERE id = ?", (upload.id,))
            # Moved, not added: the parts were counted when they came.
            transaction.charge(-sum(blob.size_bytes for blob in sent))
            kind = type_of(content_type, upload.name)
            replace(transaction, upload.drive, upload.name, kind, joined, collection.clock())

        try:
            await collection.write(work)
        except BaseException:
            ours = {blob.name for blob in joined} - {blob.name for blob in sent}
            for name in ours:
                collection.blobs.remove(name)
            raise


async def abort(collection: Collection, upload: Upload) -> None:
    """Raises NotFound."""

    def work(transaction: Transaction) -> None:
        _find(transaction.db, upload)
        drop_uploads(transaction, "id = ?", upload.id)

    await collection.write(work)


def find(db: apsw.Connection, drive: str, name: str) -> Stored | None:
    """Inside a transaction, or pinned: the chunks are those of the row."""
    row = db.execute(
        "SELECT id, type, bytes, stored FROM files WHERE drive = (SELECT id FROM drives WHERE name = ?) AND name = ?",
        (drive, name),
    ).fetchone()
    if row is None:
        return None
    number, kind, size_bytes, stored = row
    return Stored(number, name, kind, size_bytes, stored, chunks_of(db, number))


def chunks_of(db: apsw.Connection, number: int) -> tuple[Blob, ...]:
    rows = database.rows(db, "SELECT blob, bytes, crc, sha256 FROM chunks WHERE file = ? ORDER BY n", (number,))
    return tuple(Blob(*row) for row in rows)


async def delete(collection: Collection, drive: str, names: Sequence[str]) -> None:
    """Names that are not there are none too few."""

    def work(transaction: Transaction) -> None:
        for name in names:
            _remove(transaction, drive, name)

    await collection.write(work)


def names(
    db: apsw.Connection, drive: str, *, prefix: str, last: str, limit: int, recursive: bool
) -> tuple[list[str], bool]:
    """One page in the order of UTF-8's bytes, and whether there are more. Not recursive: folders once, ending in `/`."""
    number = db.execute("SELECT id FROM drives WHERE name = ?", (drive,)).get
    if number is None:
        return [], False
    found: list[str] = []
    for entry in _entries(db, int(number), prefix, last, recursive, limit + 1):
        if len(found) == limit:
            return found, True
        found.append(entry)
    return found, False


def type_of(given: str | None, name: str) -> str:
    """What was sent, else by the ending of the name."""
    wanted = (given or "").strip()
    if wanted.lower() not in _GENERIC and wanted.isascii() and wanted.isprintable() and len(wanted) <= _TYPE_LENGTH:
        return wanted
    return mimetypes.guess_type(name.rpartition("/")[2])[0] or _ANY_TYPE


def _entries(db: apsw.Connection, drive: int, prefix: str, last: str, recursive: bool, limit: int) -> Iterator[str]:
    bounds, values = ["drive = ?", "name >= ?", "name > ?"], [drive, prefix, last]
    if prefix:
        bounds.append("name < ?")
        values.append(_after(prefix))
    where = " AND ".join(bounds)
    if recursive:
        rows = db.execute(f"SELECT name FROM files WHERE {where} ORDER BY name LIMIT ?", (*values, limit))  # noqa: S608
        yield from (name for (name,) in rows)
        return
    beyond, sign = last, ">"
    while True:
        name = db.execute(
            f"SELECT name FROM files WHERE {where} AND name {sign} ? ORDER BY name LIMIT 1",  # noqa: S608
            (*values, beyond),
        ).get
        if name is None:
            return
        cut = name.find("/", len(prefix))
        entry = name if cut < 0 else name[: cut + 1]
        if entry > last:
            yield entry
        beyond, sign = (name, ">") if cut < 0 else (_after(entry), ">=")


def _after(prefix: str) -> str:
    """The least text after all names that begin with `prefix`, which is not empty."""
    return successor(prefix) or "\U0010ffff" * _NAME_BYTES


def _find(db: apsw.Connection, upload: Upload) -> str | None:
    """The content type so far. Raises NotFound."""
    row = db.execute("SELECT drive, name, type FROM uploads WHERE id = ?", (upload.id,)).fetchone()
    if row is None or (row[0], row[1]) != (upload.drive, upload.name):
        raise NotFound("There is no such upload of that name")
    kind: str | None = row[2]
    return kind


def _sent(db: apsw.Connection, upload: Upload) -> list[Blob]:
    """The parts in order. Raises Refused for a gap."""
    rows = database.rows(db, "SELECT n, blob, bytes, crc, sha256 FROM parts WHERE upload = ? ORDER BY n", (upload.id,))
    for expected, row in enumerate(rows, 1):
        if row[0] != expected:
            raise Refused(f"part {expected} is missing")
    return [Blob(*row[1:]) for row in rows]


def _join_small(collection: Collection, sent: Sequence[Blob]) -> list[Blob]:
    """Some clients send thousands of tiny parts: neighbours become one blob. In a thread."""
    done: list[Blob] = []
    run: list[Blob] = []

    def close() -> None:
        done.extend([collection.blobs.join(run)] if len(run) > 1 else run)
        run.clear()

    for blob in sent:
        small = blob.size_bytes < _SMALL_BYTES
        if not small or sum(one.size_bytes for one in run) + blob.size_bytes > _JOINED_BYTES:
            close()
        if small:
            run.append(blob)
        else:
            done.append(blob)
    close()
    return [blob for blob in done if blob.size_bytes]


async def _naming(collection: Collection, blob: Blob, work: Callable[[Transaction], None]) -> None:
    """Commit the row that names the blob; without it the blob goes."""
    try:
        await collection.write(work)
    except asyncio.CancelledError:
        raise  # the row may still be written; the sweep finds out
    except BaseException:
        collection.blobs.remove(blob.name)
        raise


def replace(
    transaction: Transaction, drive: str, name: str, content_type: str, chunks: Sequence[Blob], now: float
) -> None:
    db = transaction.db
    number = db.execute("SELECT id FROM drives WHERE name = ?", (drive,)).get
    if number is None:
        number = db.execute("INSERT INTO drives(name) VALUES (?) RETURNING id", (drive,)).get
    size_bytes = sum(blob.size_bytes for blob in chunks)
    # Counted first: what replaces a file of its own size needs no room.
    _remove(transaction, drive, name)
    row = (number, name, content_type, size_bytes, now)
    file = db.execute(
        "INSERT INTO files(drive, name, type, bytes, stored) VALUES (?, ?, ?, ?, ?) RETURNING id", row
    ).get
    db.executemany(
        "INSERT INTO chunks(file, n, blob, bytes, crc, sha256) VALUES (?, ?, ?, ?, ?, ?)",
        [(file, n, blob.name, blob.size_bytes, blob.crc, blob.sha256) for n, blob in enumerate(chunks)],
    )
    transaction.grow("drives", int(number), 1, size_bytes)


def _remove(transaction: Transaction, drive: str, name: str) -> None:
    db = transaction.db
    found = database.rows(
        db,
        "DELETE FROM files WHERE drive = (SELECT id FROM drives WHERE name = ?) AND name = ? RETURNING id, drive, bytes",
        (drive, name),
    )
    for number, drive_id, size_bytes in found:
        db.execute("INSERT INTO garbage(blob) SELECT blob FROM chunks WHERE file = ?", (number,))
        db.execute("DELETE FROM chunks WHERE file = ?", (number,))
        transaction.grow("drives", drive_id, -1, -size_bytes)
