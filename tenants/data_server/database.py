"""SQLite connections as we want them, and the thread that writes."""

import asyncio
import contextlib
import logging
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol, TypeVar

import apsw

from tenants.data_server.errors import Full

log = logging.getLogger(__name__)
_BUSY_MS = 10_000
_CACHE_KIB = 1024
_GROUP = 64

T = TypeVar("T")
Work = Callable[["Transaction"], T]


def connect(path: Path, *, readonly: bool = False) -> apsw.Connection:
    """WAL with synchronous=FULL: a commit is on the disk when it returns."""
    flags = apsw.SQLITE_OPEN_READONLY if readonly else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    db = apsw.Connection(str(path), flags=flags, statementcachesize=64)
    db.set_busy_timeout(_BUSY_MS)
    db.pragma("cache_size", -_CACHE_KIB)
    if not readonly:
        db.pragma("journal_mode", "wal")
        db.pragma("synchronous", "full")
        db.pragma("foreign_keys", True)
    return db


def rows(db: apsw.Connection, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """All of them: for few."""
    return db.execute(statement, values).fetchall()


class Usage(Protocol):
    """What counts against the quota. Only the writing thread changes it."""

    def room_for(self, size_bytes: int) -> bool: ...

    def add(self, size_bytes: int) -> None: ...


@dataclass
class Transaction:
    """What one piece of work did so far; it is undone when the work raises.

    grown: (table, id) → [items, bytes] by which counters of `bases` and `drives` change.
    """

    db: apsw.Connection
    usage: Usage
    before: int = 0  # bytes by which earlier work of the same commit grew
    grown: dict[tuple[str, int], list[int]] = field(default_factory=dict)
    size_bytes: int = 0

    def grow(self, table: str, number: int, items: int, size_bytes: int) -> None:
        """Count into a row of `bases` or `drives`, and against the quota. Raises Full."""
        counter = self.grown.setdefault((table, number), [0, 0])
        counter[0] += items
        counter[1] += size_bytes
        self.charge(size_bytes)

    def charge(self, size_bytes: int) -> None:
        """Against the quota alone. Raises Full; what shrinks is never refused."""
        self.size_bytes += size_bytes
        if size_bytes > 0 and self.size_bytes > 0 and not self.usage.room_for(self.before + self.size_bytes):
            raise Full

    def settle(self) -> None:
        for (table, number), (items, size_bytes) in self.grown.items():
            change = f"UPDATE {table} SET items = items + ?, bytes = bytes + ? WHERE id = ?"  # noqa: S608 - our own names
            self.db.execute(change, (items, size_bytes, number))


@dataclass
class _Job:
    db: apsw.Connection
    usage: Usage
    work: Work[Any]
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[Any]
    attach: Path | None
    result: Any = None
    error: BaseException | None = None


class Writer:
    """One thread writes for all collections. What waits for the same collection shares a commit, and so its fsync."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    async def run(self, db: apsw.Connection, usage: Usage, work: Work[T], attach: Path | None = None) -> T:
        """The result of `work(transaction)` once it is on the disk. attach: a database that it sees as `staged`.

        Raises what `work` raises, after undoing it, and Full when the disk is.
        """
        loop = asyncio.get_running_loop()
        job = _Job(db, usage, work, loop, loop.create_future(), attach)
        self._jobs.put(job)
        result: T = await asyncio.shield(job.answer)
        return result

    def stop(self) -> None:
        """After what is waiting."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        stopping = False
        while not stopping:
            first = self._jobs.get()
            waiting = [first]
            with contextlib.suppress(queue.Empty):
                while len(waiting) < _GROUP:
                    waiting.append(self._jobs.get_nowait())
            stopping = None in waiting
            jobs = [job for job in waiting if job is not None]
            for _, group in groupby(jobs, key=lambda job: (id(job.db), id(job) if job.attach else 0)):
                self._commit(list(group))

    def _commit(self, jobs: list[_Job]) -> None:
        try:
            with _attached(jobs[0].db, jobs[0].attach):
                _run_together(jobs)
        except Exception as error:
            for job in jobs:
                job.error = job.error or _meaning(error)
        by_loop = groupby(jobs, key=lambda job: job.loop)
        for loop, group in by_loop:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_tell, list(group))


def _run_together(jobs: list[_Job]) -> None:
    """One transaction; each piece of work in a savepoint, unless it is alone."""
    db, usage = jobs[0].db, jobs[0].usage
    db.execute("BEGIN IMMEDIATE")
    grown_bytes = 0
    try:
        for job in jobs:
            transaction = Transaction(db, usage, grown_bytes)
            try:
                with db if len(jobs) > 1 else contextlib.nullcontext():
                    job.result = job.work(transaction)
                    transaction.settle()
                grown_bytes += transaction.size_bytes
            except Exception as error:
                job.error = _meaning(error)
                if len(jobs) == 1:
                    raise
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    usage.add(grown_bytes)


@contextlib.contextmanager
def _attached(db: apsw.Connection, path: Path | None) -> Iterator[None]:
    if path is None:
        yield
        return
    db.execute("ATTACH ? AS staged", (str(path),))
    try:
        yield
    finally:
        db.execute("DETACH staged")


def _meaning(error: BaseException) -> BaseException:
    return Full("The disk of this cloud is full") if isinstance(error, apsw.FullError) else error


def _tell(jobs: list[_Job]) -> None:
    for job in jobs:
        if job.answer.cancelled():
            continue
        if job.error is not None:
            job.answer.set_exception(job.error)
        else:
            job.answer.set_result(job.result)
