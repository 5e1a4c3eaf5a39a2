"""One open collection: its database, its blobs, and who reads of them just now."""

import asyncio
import contextlib
import logging
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import apsw

from tenants.data_server import database, disk, schema
from tenants.data_server.blobs import Blobs
from tenants.data_server.database import Transaction, Usage, Writer

log = logging.getLogger(__name__)
_SCANNERS = 2
_STALE_UPLOAD_S = 24 * 3600
_STALE_IMPORT_S = 24 * 3600
_REMOVED_AT_ONCE = 500

T = TypeVar("T")


class Collection:
    """Made by the registry, which sees to it that there is one of each. Opening may raise schema.FromTheFuture."""

    def __init__(self, folder: Path, usage: Usage, writer: Writer, threads: ThreadPoolExecutor) -> None:
        self.folder = folder
        self.usage = usage
        self.threads = threads
        self.clock: Callable[[], float] = time.time
        self._writer = writer
        disk.make(folder)
        self._db = database.connect(folder / "data.db")
        disk.sync(folder)
        schema.migrate(self._db, schema.COLLECTION)
        self.blobs = Blobs(folder / "blobs", threads)
        self.imports = folder / "imports"
        self.unpacking = asyncio.Lock()  # one archive at a time
        self.reader = database.connect(folder / "data.db", readonly=True)
        self._scanners: list[apsw.Connection] = []
        self._scanning = asyncio.Semaphore(_SCANNERS)
        self._pins: dict[object, int] = {}
        self.last_used = time.monotonic()

    def close(self) -> None:
        for db in (*self._scanners, self.reader, self._db):
            db.close()

    async def write(self, work: Callable[[Transaction], T], attach: Path | None = None) -> T:
        """See Writer.run."""
        return await self._writer.run(self._db, self.usage, work, attach)

    async def scan(self, work: Callable[[apsw.Connection], T]) -> T:
        """Run `work` in a thread, in one read transaction: it sees one instant."""
        async with self._scanning:
            db = self._scanners.pop() if self._scanners else database.connect(self.folder / "data.db", readonly=True)
            try:
                return await asyncio.get_running_loop().run_in_executor(self.threads, _at_one_instant, db, work)
            finally:
                self._scanners.append(db)

    @contextlib.contextmanager
    def pinned(self) -> Iterator[None]:
        """Blobs that rows name now stay on the disk meanwhile."""
        pin = object()
        self._pins[pin] = self._newest_garbage()
        try:
            yield
        finally:
            del self._pins[pin]

    def pin(self) -> Callable[[], None]:
        """Like pinned(), until the function returned is called."""
        stack = contextlib.ExitStack()
        stack.enter_context(self.pinned())
        return stack.close

    async def collect_garbage(self) -> int:
        """Unlink what nobody reads any more. Returns the number of blobs. Killed at any point, the next run finishes."""
        upto = min(self._pins.values(), default=None)
        newest = self._newest_garbage() if upto is None else upto
        rows = database.rows(
            self.reader, "SELECT n, blob FROM garbage WHERE n <= ? LIMIT ?", (newest, _REMOVED_AT_ONCE)
        )
        if not rows:
            return 0
        unused = [blob for _, blob in rows]
        await asyncio.get_running_loop().run_in_executor(self.threads, self.blobs.remove_all, unused)
        numbers = [(number,) for number, _ in rows]
        await self.write(lambda t: t.db.executemany("DELETE FROM garbage WHERE n = ?", numbers))
        return len(rows)

    async def remove_expired(self) -> int:
        """Items past their time, some at once. Returns how many."""
        return await self.write(lambda t: _remove_expired(t, self.clock()))

    async def remove_stale(self) -> None:
        """Uploads that nobody finished, and archives that nobody applied."""
        before = self.clock() - _STALE_UPLOAD_S
        await self.write(lambda t: drop_uploads(t, "touched < ?", before))
        for folder in self.imports.iterdir() if self.imports.is_dir() else ():
            if folder.stat().st_mtime < time.time() - _STALE_IMPORT_S:
                shutil.rmtree(folder, ignore_errors=True)

    async def sweep(self, before: float) -> int:
        """Unlink blobs older than `before` that no row names: their writer was killed. Returns how many."""
        return await self.scan(lambda db: self._sweep(db, before))

    def _sweep(self, db: apsw.Connection, before: float) -> int:
        named = (
            "SELECT EXISTS(SELECT 1 FROM chunks WHERE blob = ?1) OR EXISTS(SELECT 1 FROM parts WHERE blob = ?1)"
            " OR EXISTS(SELECT 1 FROM garbage WHERE blob = ?1)"
        )
        orphans = [
            name for name, changed in self.blobs.everything() if changed < before and not db.execute(named, (name,)).get
        ]
        for name in orphans:
            self.blobs.remove(name)
        if orphans:
            log.info("event=orphan_blobs_removed collection=%s count=%d", self.folder.name, len(orphans))
        return len(orphans)

    def _newest_garbage(self) -> int:
        return int(
            self.reader.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'garbage'").get or 0
        )


def used_bytes(db: apsw.Connection) -> int:
    """What a collection counts for: items, files, and parts of uploads that go on."""
    sums = ("SELECT coalesce(sum(bytes), 0) FROM bases", "SELECT coalesce(sum(bytes), 0) FROM drives")
    return sum(int(db.execute(one).get or 0) for one in (*sums, "SELECT coalesce(sum(bytes), 0) FROM parts"))


def drop_uploads(transaction: Transaction, which: str, *values: object) -> int:
    """Uploads for which the SQL condition `which` holds, with their parts. Returns how many."""
    db = transaction.db
    found = db.execute(f"SELECT id FROM uploads WHERE {which}", values).fetchall()  # noqa: S608 - our own conditions
    for (upload,) in found:
        freed = int(db.execute("SELECT coalesce(sum(bytes), 0) FROM parts WHERE upload = ?", (upload,)).get or 0)
        db.execute("INSERT INTO garbage(blob) SELECT blob FROM parts WHERE upload = ?", (upload,))
        db.execute("DELETE FROM parts WHERE upload = ?", (upload,))
        db.execute("DELETE FROM uploads WHERE id = ?", (upload,))
        transaction.charge(-freed)
    return len(found)


def _at_one_instant(db: apsw.Connection, work: Callable[[apsw.Connection], T]) -> T:
    db.execute("BEGIN")
    try:
        return work(db)
    finally:
        db.execute("ROLLBACK")


def _remove_expired(transaction: Transaction, now: float) -> int:
    db = transaction.db
    rows = database.rows(
        db, "SELECT base, key, bytes FROM items WHERE expires <= ? ORDER BY expires LIMIT ?", (now, _REMOVED_AT_ONCE)
    )
    for base, key, size_bytes in rows:
        db.execute("DELETE FROM items WHERE base = ? AND key = ?", (base, key))
        transaction.grow("bases", base, -1, -size_bytes)
    return len(rows)
