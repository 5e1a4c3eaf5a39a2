"""What Base does to a collection. Everything raises Refused for what the caller did wrong."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import apsw

from tenants.data_server import database, documents, prefilter, queries, updates
from tenants.data_server.collection import Collection
from tenants.data_server.database import Transaction
from tenants.data_server.documents import Document
from tenants.data_server.errors import Conflict, NotFound
from tenants.data_server.queries import Query
from tenants.data_server.updates import Update

PAGE_BYTES = 4 * 1024 * 1024  # clients go on where a page ends early; memory does not
_WHOLE = 300_000  # bases up to this are read in one go, greater ones in growing slices
_FIRST_SLICE, _LAST_SLICE = 2_000, 200_000
_SCAN_S = 5.0
_GET = """SELECT json(doc) FROM items WHERE base = (SELECT id FROM bases WHERE name = ?) AND key = ?
          AND (expires IS NULL OR expires > ?)"""
EXISTS = """SELECT 1 FROM items WHERE base = (SELECT id FROM bases WHERE name = ?) AND key = ?
            AND (expires IS NULL OR expires > ?)"""


@dataclass(frozen=True)
class Page:
    """items: JSON texts. last: where the next page begins, None on the last one."""

    items: list[str]
    last: str | None


def get(collection: Collection, base: str, key: str) -> str | None:
    """The item as JSON text."""
    found: str | None = collection.reader.execute(_GET, (base, key, collection.clock())).get
    return found


async def put(collection: Collection, base: str, items: Sequence[Document]) -> None:
    """Store all of them, in place of what was there; or none."""

    def work(transaction: Transaction) -> None:
        number = base_id(transaction.db, base)
        for item in items:
            store(transaction, number, item)

    await collection.write(work)


async def insert(collection: Collection, base: str, item: Document) -> None:
    """Raises Conflict when the key is taken by an item that has not expired."""

    def work(transaction: Transaction) -> None:
        if transaction.db.execute(EXISTS, (base, item.key, collection.clock())).get is not None:
            raise Conflict("Key already exists")
        store(transaction, base_id(transaction.db, base), item)

    await collection.write(work)


async def delete(collection: Collection, base: str, key: str) -> None:
    def work(transaction: Transaction) -> None:
        found = database.rows(
            transaction.db,
            "DELETE FROM items WHERE base = (SELECT id FROM bases WHERE name = ?) AND key = ? RETURNING base, bytes",
            (base, key),
        )
        for number, size_bytes in found:
            transaction.grow("bases", number, -1, -size_bytes)

    await collection.write(work)


async def update(collection: Collection, base: str, key: str, change: Update) -> None:
    """All operations or none. Raises NotFound."""

    def work(transaction: Transaction) -> None:
        text = transaction.db.execute(_GET, (base, key, collection.clock())).get
        if text is None:
            raise NotFound("Key not found")
        item = json.loads(text)
        updates.apply(change, item)
        store(transaction, base_id(transaction.db, base), documents.document(item))

    await collection.write(work)


async def query(collection: Collection, base: str, asked: Query) -> Page:
    return await collection.scan(lambda db: run_query(db, base, asked, collection.clock))


def run_query(db: apsw.Connection, base: str, asked: Query, clock: Callable[[], float]) -> Page:
    """Ends early, with `last`, after PAGE_BYTES of items or some seconds."""
    number = db.execute("SELECT id FROM bases WHERE name = ?", (base,)).get
    items: list[str] = []
    size_bytes = 0
    last: str | None = None
    started = time.monotonic()
    if number is None:
        return Page([], None)
    for upto, candidates in _slices(db, int(number), asked, clock()):
        for key, text in candidates:
            if not queries.matches(asked, json.loads(text)):
                continue
            if len(items) == asked.limit or (items and size_bytes + len(text) > PAGE_BYTES):
                return Page(items, last)
            items.append(text)
            size_bytes += len(text)
            last = key
        if upto is not None and time.monotonic() - started > _SCAN_S:
            return Page(items, upto)
    return Page(items, None)


def store(transaction: Transaction, number: int, item: Document) -> None:
    """Put into the base of that id, in place of what was there."""
    db = transaction.db
    old = db.execute("SELECT bytes FROM items WHERE base = ? AND key = ?", (number, item.key)).get
    db.execute(
        "INSERT OR REPLACE INTO items(base, key, doc, bytes, expires) VALUES (?, ?, jsonb(?), ?, ?)",
        (number, item.key, item.text, item.size_bytes, item.expires),
    )
    transaction.grow("bases", number, 1 if old is None else 0, item.size_bytes - int(old or 0))


def base_id(db: apsw.Connection, name: str) -> int:
    """Made on the first write."""
    number = db.execute("SELECT id FROM bases WHERE name = ?", (name,)).get
    if number is None:
        number = db.execute("INSERT INTO bases(name) VALUES (?) RETURNING id", (name,)).get
    return int(number)


def _slices(
    db: apsw.Connection, number: int, asked: Query, now: float
) -> Iterator[tuple[str | None, Iterator[tuple[str, str]]]]:
    """What passes SQL's filter, in the order asked for, some of the base at a time; with each the key it goes up to."""
    by_key, key_values = prefilter.sql_of_key(asked)
    by_fields, field_values = prefilter.sql_of(asked)
    order, sign = ("DESC", ">=") if asked.descending else ("ASC", "<=")
    size = _FIRST_SLICE if int(db.execute("SELECT items FROM bases WHERE id = ?", (number,)).get or 0) > _WHOLE else 0
    begin, begin_values = by_key, key_values
    while True:
        where, values = f"base = ? AND {begin}", (number, *begin_values)
        end = _key_after(db, where, values, order, size) if size else None
        limit, limit_values = (f" AND key {sign} ?", (end,)) if end is not None else ("", ())
        rows = db.execute(
            f"SELECT key, json(doc) FROM items WHERE {where}{limit} AND (expires IS NULL OR expires > ?)"  # noqa: S608
            f" AND ({by_fields}) ORDER BY key {order}",
            (*values, *limit_values, now, *field_values),
        )
        yield end, iter(rows)
        if end is None:
            return
        begin, begin_values = f"{by_key} AND key {'<' if asked.descending else '>'} ?", [*key_values, end]
        size = min(size * 10, _LAST_SLICE)


def _key_after(db: apsw.Connection, where: str, values: Sequence[object], order: str, rows: int) -> str | None:
    found: str | None = db.execute(
        f"SELECT key FROM items WHERE {where} ORDER BY key {order} LIMIT 1 OFFSET ?",  # noqa: S608 - our own SQL
        (*values, rows),
    ).get
    return found
