"""What goes by itself: expired items, stale uploads, blobs that no row names, collections that nobody uses."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import apsw
import pytest

from tenants.data_server import bases, collection, documents, drives, registry
from tenants.data_server.collection import Collection
from tenants.data_server.errors import NotFound
from tenants.data_server.registry import Registry, Wanted


async def content(of: bytes) -> AsyncIterator[bytes]:
    yield of


def keeping(folder: Path, act: Callable[[Registry], Awaitable[Any]]) -> None:
    async def run() -> None:
        found = Registry(folder, b"m" * 32)
        try:
            found.ensure("collection1", Wanted("One"))
            await act(found)
        finally:
            found.close()

    asyncio.run(run())


def count(of: Collection, table: str) -> Any:
    return of.reader.execute(f"SELECT count(*) FROM {table}").get


def test_expired_items_and_stale_uploads_go_and_their_room_is_free(tmp_path: Path) -> None:
    async def act(found: Registry) -> None:
        with found.using("collection1") as one:
            items, _ = documents.batch([{"key": f"{n}", "__expires": 1} for n in range(20)] + [{"key": "kept"}])
            await bases.put(one, "b", items)
            upload = await drives.begin(one, "d", "f", None)
            await drives.put_part(one, upload, 1, None, content(b"a" * 1000))
            await found.keep_house()
            assert (count(one, "items"), count(one, "uploads")) == (1, 1)
            one.clock = lambda: time.time() + 25 * 3600
            await found.keep_house()
            assert (count(one, "uploads"), count(one, "parts"), count(one, "garbage")) == (0, 0, 0)
            assert list(one.blobs.everything()) == []
            assert found.quota.used_bytes == len('{"key":"kept"}')
            with pytest.raises(NotFound):
                await drives.finish(one, upload)

    keeping(tmp_path, act)


def test_collections_that_nobody_uses_are_closed_and_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act(found: Registry) -> None:
        await found.keep_house()
        with found.using("collection1") as one:
            await found.keep_house()
            assert count(one, "items") == 0
        await found.keep_house()
        assert count(one, "items") == 0
        monkeypatch.setattr(registry, "_IDLE_S", -1.0)
        await found.keep_house()
        with pytest.raises(apsw.ConnectionClosedError):
            count(one, "items")
        with found.using("collection1") as again:
            assert again is not one

    keeping(tmp_path, act)


def test_blobs_that_are_read_stay_until_they_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(found: Registry) -> None:
        with found.using("collection1") as one:
            await drives.put(one, "d", "f", None, content(b"old"))
            with one.pinned():
                await drives.put(one, "d", "f", None, content(b"new"))
                await found.keep_house()
                assert len(list(one.blobs.everything())) == 2
            await found.keep_house()
            assert len(list(one.blobs.everything())) == 1

    monkeypatch.setattr(collection, "_REMOVED_AT_ONCE", 1)
    keeping(tmp_path, act)


def test_only_blobs_that_were_there_before_the_start_are_swept(tmp_path: Path) -> None:
    """A file that an import brings is older than the process, and has no row yet when the sweep comes by."""

    async def act(found: Registry) -> None:
        staged = tmp_path / "staged"
        staged.write_bytes(b"of an import")
        os.utime(staged, (1, 1))
        with found.using("collection1") as one:
            orphan = one.blobs.path("ab" + "1" * 30)
            orphan.parent.mkdir()
            orphan.write_bytes(b"its writer was killed")
            os.utime(orphan, (1, 1))
            one.blobs.adopt([(staged, "ab" + "2" * 30)])
            assert await one.sweep(found.started) == 1
            assert [name for name, _ in one.blobs.everything()] == ["ab" + "2" * 30]

    keeping(tmp_path / "server", act)
