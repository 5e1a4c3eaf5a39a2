"""What an owner sees of a collection, and what the provider may do to all of it."""

from typing import Any

import apsw

from tenants.data_server import database
from tenants.data_server.collection import Collection, drop_uploads, used_bytes
from tenants.data_server.database import Transaction
from tenants.data_server.errors import NotFound

_CONTENTS = {"bases": ("items", "base"), "drives": ("files", "drive")}


async def describe(collection: Collection) -> dict[str, Any]:
    """`{bytes, bases: [{name, items, bytes}], drives: [{name, files, bytes}]}`, sorted by name."""
    return await collection.scan(_describe)


async def wipe(collection: Collection) -> None:
    """All bases, drives and uploads. Safe to repeat."""

    def work(transaction: Transaction) -> None:
        for table in _CONTENTS:
            for (name,) in database.rows(transaction.db, f"SELECT name FROM {table}"):  # noqa: S608 - our own names
                _drop(transaction, table, name)
        drop_uploads(transaction, "true")

    await collection.write(work)


async def drop(collection: Collection, table: str, name: str) -> None:
    """One of `bases` or `drives`, with all that is in it. Raises NotFound."""

    def work(transaction: Transaction) -> None:
        if not _drop(transaction, table, name):
            raise NotFound(f"There is no '{name}' among the {table}")

    await collection.write(work)


async def make(collection: Collection, table: str, name: str) -> bool:
    """One of `bases` or `drives`, empty; they also come by being written to. Returns whether it is new."""

    def work(transaction: Transaction) -> bool:
        statement = f"INSERT INTO {table}(name) VALUES (?) ON CONFLICT DO NOTHING RETURNING id"  # noqa: S608
        return transaction.db.execute(statement, (name,)).get is not None

    return await collection.write(work)


def _describe(db: apsw.Connection) -> dict[str, Any]:
    shown: dict[str, Any] = {"bytes": used_bytes(db)}
    for table, (contents, _) in _CONTENTS.items():
        rows = db.execute(f"SELECT name, items, bytes FROM {table} ORDER BY name")  # noqa: S608 - our own names
        shown[table] = [{"name": name, contents: count, "bytes": size} for name, count, size in rows]
    return shown


def _drop(transaction: Transaction, table: str, name: str) -> bool:
    db = transaction.db
    contents, column = _CONTENTS[table]
    row = db.execute(f"SELECT id, bytes FROM {table} WHERE name = ?", (name,)).fetchone()  # noqa: S608
    if row is None:
        return False
    number, size_bytes = row
    if table == "drives":
        chunks = "SELECT chunks.{} FROM chunks JOIN files ON files.id = chunks.file WHERE files.drive = ?"
        db.execute(f"INSERT INTO garbage(blob) {chunks.format('blob')}", (number,))
        db.execute("DELETE FROM chunks WHERE file IN (SELECT id FROM files WHERE drive = ?)", (number,))
    db.execute(f"DELETE FROM {contents} WHERE {column} = ?", (number,))  # noqa: S608
    db.execute(f"DELETE FROM {table} WHERE id = ?", (number,))  # noqa: S608
    transaction.charge(-size_bytes)
    return True
