"""What was acknowledged is there after kill -9; the store's schema has a version; only block storage will do."""

import asyncio
import itertools
import json
import os
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import apsw
import httpx
import pytest

from tenants.data_server import blobs as blob_files
from tenants.data_server import database, disk, drives, schema
from tenants.data_server.collection import Collection
from tenants.data_server.database import Writer
from tenants.data_server.registry import Quota
from tests.data_server.running import Data, Server, open_collection, running

WRITES, KILLS, WRITERS = 10_000, 4, 8
SECRETS = {"FREEHOLD_DATA_MASTER": "00" * 16, "FREEHOLD_DATA_GATE": "00" * 16, "FREEHOLD_DATA_ADMIN": "a" * 16}


def test_no_acknowledged_write_is_missing_after_kill_9(tmp_path: Path) -> None:
    server = Server(tmp_path / "server").start()
    try:
        data = open_collection(server)
        acknowledged: dict[str, int] = {}
        numbers = itertools.count()
        for round_ in range(1, KILLS + 1):
            _write_until_killed(data, acknowledged, numbers, WRITES * round_ // KILLS)
            assert _integrity(server) == "ok"
            server.start()
            _check_all_there(data, acknowledged)
        assert len(acknowledged) >= WRITES
    finally:
        server.stop()


def _write_until_killed(data: Data, acknowledged: dict[str, int], numbers: Any, goal: int) -> None:
    """Several clients at once put batches of one to three items; the server is killed in the middle of it."""
    stop = threading.Event()

    def write() -> None:
        with httpx.Client(base_url=data.server.url, headers={"X-API-Key": data.key}, verify=False) as web:
            while not stop.is_set():
                batch = [
                    {"key": f"k{number:06}", "n": number, "t": "ü" * 50}
                    for number in itertools.islice(numbers, 1 + next(numbers) % 3)
                ]
                try:
                    answer = web.put(f"/v1/{data.project_id}/things/items", json={"items": batch})
                except httpx.TransportError:
                    return
                if answer.status_code == 207:
                    acknowledged.update((item["key"], item["n"]) for item in batch)

    with ThreadPoolExecutor(WRITERS) as threads:
        writing = [threads.submit(write) for _ in range(WRITERS)]
        while len(acknowledged) < goal and not any(one.done() for one in writing):
            time.sleep(0.005)
        data.server.kill()
        stop.set()
        for one in writing:
            one.result()


def _integrity(server: Server) -> Any:
    """Of the files as the kill left them."""
    [folder] = (server.folder / "collections").iterdir()
    db = apsw.Connection(str(folder / "data.db"))
    try:
        return db.execute("PRAGMA integrity_check").get
    finally:
        db.close()


def _check_all_there(data: Data, acknowledged: dict[str, int]) -> None:
    data.web.close()
    data.web = httpx.Client(base_url=data.server.url, headers={"X-API-Key": data.key}, verify=False, timeout=60)
    found, last = {}, None
    while True:
        page = data.query([], last=last).json()
        found.update((item["key"], item["n"]) for item in page["items"])
        last = page["paging"].get("last")
        if last is None:
            break
    assert {key: found.get(key) for key in acknowledged} == acknowledged
    with data.server.admin() as admin:
        [base] = admin.get(f"/collections/{data.project_id}").json()["bases"]
    assert base["items"] == len(found)


def test_files_and_unfinished_uploads_survive_kill_9(tmp_path: Path) -> None:
    server = Server(tmp_path / "server").start()
    try:
        data = open_collection(server)
        content = os.urandom(3_000_000)
        data.upload("done", content)
        upload = data.drive("POST", "uploads", params={"name": "later"}).json()["upload_id"]
        part = {"name": "later", "part": 1}
        assert data.drive("POST", f"uploads/{upload}/parts", params=part, content=content).status_code == 200
        orphan = server.folder / "collections" / data.project_id / "blobs" / "ab" / "cd"
        orphan.parent.mkdir(exist_ok=True)
        orphan.write_bytes(b"its writer was killed")
        server.kill()
        server.start()
        data = Data(
            server, data.project_id, data.key, httpx.Client(base_url=server.url, headers={"X-API-Key": data.key})
        )
        assert data.drive("GET", "files/download", params={"name": "done"}).content == content
        part["part"] = 2
        assert data.drive("POST", f"uploads/{upload}/parts", params=part, content=b"end").status_code == 200
        assert data.drive("PATCH", f"uploads/{upload}", params={"name": "later"}).status_code == 200
        assert data.drive("GET", "files/download", params={"name": "later"}).content == content + b"end"
        deadline = time.monotonic() + 30
        while orphan.exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        server.stop()


def test_commits_wait_for_the_disk(tmp_path: Path) -> None:
    db = database.connect(tmp_path / "data.db")
    assert (db.pragma("journal_mode"), db.pragma("synchronous")) == ("wal", 2)


def test_a_file_is_on_the_disk_before_its_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Power may go at any time: fsync of the content, then of the folder, and only then the commit."""
    happened: list[str] = []
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        happened.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "content")
        fsync(descriptor)

    async def put(collection: Collection) -> None:
        async def content() -> Any:
            yield b"content"

        monkeypatch.setattr(blob_files.os, "fsync", watched)
        await drives.put(collection, "docs", "a", None, content())

    with ThreadPoolExecutor(2) as threads:
        writer = Writer()
        collection = Collection(tmp_path / "one", Quota(), writer, threads)
        replace = drives.replace

        def replaced(*arguments: Any) -> None:
            happened.append("row")
            replace(*arguments)

        monkeypatch.setattr(drives, "replace", replaced)
        asyncio.run(put(collection))
        collection.close()
        writer.stop()
    assert happened[-3:] == ["content", "folder", "row"]


def test_stores_remember_their_schema_and_newer_ones_are_left_alone(tmp_path: Path) -> None:
    db = database.connect(tmp_path / "data.db")
    schema.migrate(db, ("CREATE TABLE a(x);",))
    schema.migrate(db, ("CREATE TABLE a(x);", "ALTER TABLE a ADD COLUMN y; CREATE TABLE b(x);"))
    assert db.pragma("user_version") == 2
    db.execute("INSERT INTO a(x, y) VALUES (1, 2)")
    with pytest.raises(apsw.SQLError):
        schema.migrate(db, ("", "", "CREATE TABLE c(x); CREATE TABLE b(x);"))
    assert db.pragma("user_version") == 2
    assert db.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'c'").get == 0
    with pytest.raises(schema.FromTheFuture):
        schema.migrate(db, ("CREATE TABLE a(x);",))


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs", "9p", "ceph", "unheard-of"])
def test_network_file_systems_are_refused(tmp_path: Path, kind: str) -> None:
    mounts = tmp_path / "mountinfo"
    lines = [
        "36 35 98:0 / / rw,noatime master:1 - ext4 /dev/root rw,errors=continue",
        f"37 36 0:5 / {tmp_path / 'far'} rw - {kind} somewhere rw",
        f"38 37 98:1 / {tmp_path / 'far' / 'near'} rw - xfs /dev/vdb rw",
    ]
    mounts.write_text("\n".join(lines) + "\n")
    for name in ("far", "far/inside"):
        with pytest.raises(disk.Unusable, match=kind):
            disk.check(tmp_path / name, mounts)
    disk.check(tmp_path, mounts)
    disk.check(tmp_path / "far" / "near" / "x", mounts)


def test_a_second_server_on_the_same_folder_does_not_start(tmp_path: Path) -> None:
    with running(tmp_path / "server") as server:
        second = _start_briefly(server.folder, SECRETS)
        assert second.returncode == 2
        assert "Another data server" in second.stderr


@pytest.mark.parametrize("missing", SECRETS)
def test_a_missing_secret_stops_the_start_and_is_named(tmp_path: Path, missing: str) -> None:
    done = _start_briefly(tmp_path, {name: value for name, value in SECRETS.items() if name != missing})
    assert (done.returncode, missing in done.stderr) == (2, True)


def _start_briefly(folder: Path, secrets: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """For starts that fail."""
    where = ("--folder", str(folder), "--data", "127.0.0.1:1", "--admin", "127.0.0.1:1")
    command = (sys.executable, "-m", "tenants.data_server", *where)
    return subprocess.run(command, env=os.environ | secrets, capture_output=True, text=True, timeout=60)


def test_idle_it_takes_little_and_stops_when_told(tmp_path: Path) -> None:
    server = Server(tmp_path / "server").start()
    data = open_collection(server)
    for start in range(0, 2000, 25):
        data.put(*({"key": f"{n:05}", "t": json.dumps([n] * 20)} for n in range(start, start + 25)))
    data.query([{"t?contains": "77"}])
    assert server.memory_kib() <= 50 * 1024
    assert server.stop() == 0
