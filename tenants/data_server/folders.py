"""A drive as a person looks at it: what lies in one folder, and a file under another name."""

from dataclasses import asdict, dataclass
from typing import Any

import apsw

from tenants.data_server import database, drives
from tenants.data_server.collection import Collection
from tenants.data_server.database import Transaction
from tenants.data_server.errors import Conflict, NotFound, Refused

_AT_ONCE = 500
_FILE = """SELECT type, bytes, stored FROM files
           WHERE drive = (SELECT id FROM drives WHERE name = ?) AND name = ?"""


@dataclass(frozen=True)
class Entry:
    """A file; or a folder, whose name ends in a slash and which has nothing else. stored: Unix seconds."""

    name: str
    type: str | None = None
    bytes: int | None = None
    stored: float | None = None


async def look(collection: Collection, drive: str, prefix: str, last: str, limit: int) -> dict[str, Any]:
    """`{"entries": […], "last": where the next page begins or null}`, as of one instant."""

    def work(db: apsw.Connection) -> dict[str, Any]:
        names, more = drives.names(db, drive, prefix=prefix, last=last, limit=limit, recursive=False)
        entries = [asdict(_entry(db, drive, name)) for name in names]
        return {"entries": entries, "last": names[-1] if more else None}

    return await collection.scan(work)


async def rename(collection: Collection, drive: str, old: str, new: str) -> None:
    """Raises NotFound, Conflict where the new name is taken, Refused for what cannot be one."""
    drives.check_name(new)

    def work(transaction: Transaction) -> None:
        db = transaction.db
        number = db.execute("SELECT id FROM drives WHERE name = ?", (drive,)).get
        if number is None or db.execute(_FILE, (drive, old)).fetchone() is None:
            raise NotFound("File not found")
        if old == new:
            return
        if db.execute(_FILE, (drive, new)).fetchone() is not None:
            raise Conflict("There is a file of that name already")
        db.execute("UPDATE files SET name = ? WHERE drive = ? AND name = ?", (new, number, old))

    await collection.write(work)


async def remove(collection: Collection, drive: str, prefix: str) -> int:
    """All files whose name begins with `prefix`, some at a time, so that others may write in between. Returns how many.

    Safe to repeat: interrupted, the next goes on.
    """
    if not prefix.endswith("/"):
        raise Refused("A folder's name ends in a slash")
    removed = 0
    while True:
        names, more = await collection.scan(
            lambda db: drives.names(db, drive, prefix=prefix, last="", limit=_AT_ONCE, recursive=True)
        )
        await drives.delete(collection, drive, names)
        removed += len(names)
        if not more:
            return removed


def _entry(db: apsw.Connection, drive: str, name: str) -> Entry:
    if name.endswith("/"):
        return Entry(name)
    ((kind, size_bytes, stored),) = database.rows(db, _FILE, (drive, name))
    return Entry(name, kind, size_bytes, stored)
