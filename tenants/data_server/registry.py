"""Which collections there are, who may enter them, and the quota of all of them together."""

import asyncio
import contextlib
import json
import logging
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tenants.data_server import database, disk, keys, schema
from tenants.data_server.collection import Collection, used_bytes
from tenants.data_server.database import Writer
from tenants.data_server.errors import Conflict, Full, NotFound

log = logging.getLogger(__name__)
_OPEN = 8
_IDLE_S = 60.0


@dataclass(frozen=True)
class Key:
    """sha256: keys.fingerprint() of it; the key itself is nowhere."""

    id: str
    name: str
    sha256: str


@dataclass(frozen=True)
class Instance:
    """Its derived key of that version counts."""

    instance: str
    version: int


@dataclass(frozen=True)
class Wanted:
    """A collection as the provider wants it: all of this, and no other key."""

    name: str
    keys: Sequence[Key] = ()
    instances: Sequence[Instance] = ()


@dataclass
class Quota:
    """used: of all collections. limit: None for none."""

    limit_bytes: int | None = None
    used_bytes: int = 0

    def room_for(self, size_bytes: int) -> bool:
        return self.limit_bytes is None or self.used_bytes + size_bytes <= self.limit_bytes

    def add(self, size_bytes: int) -> None:
        self.used_bytes += size_bytes


@dataclass
class _Entry:
    wanted: Wanted
    created: float
    fingerprints: frozenset[str] = frozenset()
    used: dict[str, float] = field(default_factory=dict)
    collection: Collection | None = None
    users: int = 0
    waiting: list[asyncio.Future[None]] = field(default_factory=list)


class Registry:
    """One per server. Everything here runs on the event loop's thread."""

    def __init__(self, folder: Path, master: bytes) -> None:
        """master: what derived keys are made from. Raises schema.FromTheFuture."""
        self.folder = folder
        self._master = master
        self.quota = Quota()
        self.started = time.time()
        self.writer = Writer()
        self.threads = ThreadPoolExecutor(4, thread_name_prefix="files")
        disk.make(folder / "collections")
        disk.make(folder / "removed")
        self._db = database.connect(folder / "server.db")
        disk.sync(folder)
        schema.migrate(self._db, schema.SERVER)
        self._entries = self._load()
        self._removing: set[str] = set()
        self._swept: set[str] = set()
        self._finish_removals()

    def close(self) -> None:
        self.writer.stop()
        for entry in self._entries.values():
            if entry.collection is not None:
                entry.collection.close()
        self.threads.shutdown()
        self._db.close()

    # --- who may enter ---

    def admits(self, project_id: str, key: str) -> bool:
        """By a key that was given out for this collection, or is derived for one of its instances. No call, no I/O."""
        entry = self._entries.get(project_id)
        if entry is None or (sha256 := keys.fingerprint(key)) not in entry.fingerprints:
            return False
        entry.used[sha256] = time.time()
        return True

    def last_used(self, project_id: str) -> Mapping[str, float]:
        """By a key's SHA-256, since this server started. The provider asks once a minute and writes it down."""
        return self._entries[project_id].used

    def knows(self, project_id: str, instance_id: str) -> bool:
        """Whether the instance belongs to the collection."""
        entry = self._entries.get(project_id)
        return entry is not None and any(one.instance == instance_id for one in entry.wanted.instances)

    # --- what there is ---

    def names(self) -> dict[str, Wanted]:
        return {project_id: entry.wanted for project_id, entry in self._entries.items()}

    def ensure(self, project_id: str, wanted: Wanted) -> bool:
        """Make it so, from the next request on. Returns whether it is new. Safe to repeat. Raises Conflict."""
        if project_id in self._removing:
            raise Conflict("The collection of that id is being removed")
        entry = self._entries.get(project_id)
        is_new = entry is None
        created = entry.created if entry else time.time()
        instances = json.dumps([asdict(one) for one in wanted.instances])
        with self._db:
            self._db.execute(
                "INSERT INTO collections(id, name, instances, created) VALUES (?1, ?2, ?3, ?4)"
                " ON CONFLICT(id) DO UPDATE SET name = ?2, instances = ?3",
                (project_id, wanted.name, instances, created),
            )
            self._db.execute("DELETE FROM keys WHERE collection = ?", (project_id,))
            rows = [(project_id, key.id, key.name, key.sha256) for key in wanted.keys]
            self._db.executemany("INSERT INTO keys(collection, id, name, sha256) VALUES (?, ?, ?, ?)", rows)
        if entry is None:
            entry = self._entries[project_id] = _Entry(wanted, created)
        entry.wanted = wanted
        entry.fingerprints = self._fingerprints(project_id, wanted)
        entry.used = {sha256: at for sha256, at in entry.used.items() if sha256 in entry.fingerprints}
        return is_new

    async def remove(self, project_id: str) -> None:
        """With all data. Nobody gets in any more; who is inside finishes first. Safe to repeat and to interrupt."""
        entry = self._entries.pop(project_id, None)
        if entry is None:
            return
        self._removing.add(project_id)
        try:
            await self._remove(project_id, entry)
        finally:
            self._removing.discard(project_id)

    async def _remove(self, project_id: str, entry: _Entry) -> None:
        while entry.users:
            waiting = asyncio.get_running_loop().create_future()
            entry.waiting.append(waiting)
            await waiting
        collection = entry.collection or self._open(project_id)
        freed = used_bytes(collection.reader)
        collection.close()
        with self._db:
            self._db.execute("DELETE FROM collections WHERE id = ?", (project_id,))
        self._folder(project_id).rename(self.folder / "removed" / f"{project_id}-{time.time_ns()}")
        self.quota.add(-freed)
        await asyncio.get_running_loop().run_in_executor(self.threads, self._empty_removed)

    def set_limit(self, limit_bytes: int | None) -> None:
        with self._db:
            self._db.execute(
                "INSERT OR REPLACE INTO settings(name, value) VALUES ('limit', ?)", (json.dumps(limit_bytes),)
            )
        self.quota.limit_bytes = limit_bytes

    # --- using one ---

    @contextlib.contextmanager
    def using(self, project_id: str, *, counts: bool = True) -> Iterator[Collection]:
        """The collection, which stays open meanwhile. Raises NotFound, Full where it cannot even be opened.

        counts: as use, which keeps it open for a while longer.
        """
        release, collection = self.enter(project_id, counts=counts)
        try:
            yield collection
        finally:
            release()

    def enter(self, project_id: str, *, counts: bool = True) -> tuple[Callable[[], None], Collection]:
        """Like `using`, until the function returned is called, once."""
        entry = self._entries.get(project_id)
        if entry is None:
            raise NotFound("There is no such collection")
        if entry.collection is None:
            self._close_some(_OPEN - 1)
            entry.collection = self._open(project_id)
        entry.users += 1
        return lambda: self._leave(entry, counts), entry.collection

    async def keep_house(self) -> None:
        """What can wait: expired items, stale uploads, unnamed blobs; closing what is not used. Never raises."""
        for project_id, entry in list(self._entries.items()):
            if entry.collection is None and project_id in self._swept:
                continue
            try:
                with self.using(project_id, counts=False) as collection:
                    if project_id not in self._swept:
                        await collection.sweep(self.started)
                        self._swept.add(project_id)
                    while await collection.remove_expired():
                        pass
                    await collection.remove_stale()
                    while await collection.collect_garbage():
                        pass
            except NotFound:
                continue
            except Exception:
                log.exception("event=housekeeping_failed collection=%s", project_id)
        self._close_some(_OPEN, idle_s=_IDLE_S)

    def _leave(self, entry: _Entry, counts: bool) -> None:
        entry.users -= 1
        if counts and entry.collection is not None:
            entry.collection.last_used = time.monotonic()
        if not entry.users:
            for waiting in entry.waiting:
                if not waiting.done():
                    waiting.set_result(None)
            entry.waiting.clear()

    def _close_some(self, keep: int, idle_s: float = float("inf")) -> None:
        """Unused ones, the longest unused first, until `keep` are open; and all that were not used for `idle_s`."""
        unused = [entry for entry in self._entries.values() if entry.collection is not None and not entry.users]
        unused.sort(key=lambda entry: entry.collection.last_used if entry.collection else 0.0)
        count = sum(entry.collection is not None for entry in self._entries.values())
        now = time.monotonic()
        for entry in unused:
            if entry.collection is not None and (count > keep or entry.collection.last_used < now - idle_s):
                entry.collection.close()
                entry.collection = None
                count -= 1

    def _open(self, project_id: str) -> Collection:
        try:
            return Collection(self._folder(project_id), self.quota, self.writer, self.threads)
        except OSError as error:
            if error.errno == 28:
                raise Full("The disk of this cloud is full") from error
            raise

    def _folder(self, project_id: str) -> Path:
        return self.folder / "collections" / project_id

    def _fingerprints(self, project_id: str, wanted: Wanted) -> frozenset[str]:
        derived = (keys.derived_key(self._master, project_id, one.instance, one.version) for one in wanted.instances)
        return frozenset([key.sha256 for key in wanted.keys] + [keys.fingerprint(key) for key in derived])

    def _load(self) -> dict[str, _Entry]:
        limit = self._db.execute("SELECT value FROM settings WHERE name = 'limit'").get
        self.quota.limit_bytes = json.loads(limit) if limit else None
        entries = {}
        for project_id, name, instances, created in self._db.execute(
            "SELECT id, name, instances, created FROM collections"
        ):
            rows = self._db.execute("SELECT id, name, sha256 FROM keys WHERE collection = ? ORDER BY id", (project_id,))
            wanted = Wanted(
                name, tuple(Key(*row) for row in rows), tuple(Instance(**one) for one in json.loads(instances))
            )
            entries[project_id] = _Entry(wanted, created, self._fingerprints(project_id, wanted))
            if (self._folder(project_id) / "data.db").exists():
                collection = self._open(project_id)
                self.quota.add(used_bytes(collection.reader))
                collection.close()
        return entries

    def _finish_removals(self) -> None:
        """Folders of collections that are gone, also of one whose removal was interrupted half-way."""
        for folder in (self.folder / "collections").iterdir():
            if folder.name not in self._entries:
                folder.rename(self.folder / "removed" / f"{folder.name}-{time.time_ns()}")
        self._empty_removed()

    def _empty_removed(self) -> None:
        for folder in (self.folder / "removed").iterdir():
            shutil.rmtree(folder, ignore_errors=True)
