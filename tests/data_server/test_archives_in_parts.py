"""Archives that come in parts: in any order, again, after kill −9; whole or nothing."""

import hashlib
import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tenants.data_server.receiving import PART_BYTES
from tests.data_server.running import PROJECT, Data, Server, open_collection
from tests.data_server.test_base import errors
from tests.journey.stack import until

ID = "0123456789abcdef"
CONTENT = os.urandom(2 * PART_BYTES + 1000)


@pytest.fixture(scope="module")
def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        made.writestr("bases/users.json", '[{"key": "a", "n": 1}]')
        made.writestr("drives/pics/large.bin", CONTENT)
    return buffer.getvalue()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Data]:
    """On a server that a test may kill."""
    server = Server(tmp_path / "server").start()
    yield open_collection(server)
    server.stop()


def ask(data: Data, method: str, path: str = "", **request: Any) -> httpx.Response:
    with data.server.admin() as admin:
        return admin.request(method, f"/collections/{data.project_id}/imports/{ID}{path}", **request)


def begin(data: Data, archive: bytes) -> Any:
    answer = ask(data, "PUT", json={"size_bytes": len(archive)})
    assert answer.status_code == 200, answer.text
    return answer.json()


def part(archive: bytes, number: int) -> bytes:
    return archive[(number - 1) * PART_BYTES : number * PART_BYTES]


def send(data: Data, archive: bytes, number: int, sha256: str | None = None) -> httpx.Response:
    content = part(archive, number)
    checksum = hashlib.sha256(content).hexdigest() if sha256 is None else sha256
    return ask(data, "PUT", f"/parts/{number}", content=content, params={"sha256": checksum})


def stored(data: Data) -> bool:
    answer = data.drive("GET", "files/download", "pics", params={"name": "large.bin"})
    return answer.status_code == 200 and answer.content == CONTENT


def test_parts_come_in_any_order_and_again(data: Data, archive: bytes) -> None:
    said = {"id": ID, "size_bytes": len(archive), "part_bytes": PART_BYTES}
    assert begin(data, archive) == {**said, "parts": []}
    for number in (3, 1, 3):
        assert send(data, archive, number).status_code == 200
    assert begin(data, archive) == ask(data, "GET").json() == {**said, "parts": [1, 3]}
    assert errors(ask(data, "POST", "/stage")) == ["part 2 is missing"]
    assert send(data, archive, 2).status_code == 200
    first, again = (ask(data, "POST", "/stage").json() for _ in range(2))
    assert first == again
    assert (first["bases"][0]["items"], first["drives"][0]["files"], first["problems"]) == (1, 1, [])
    assert send(data, archive, 1).status_code == 409
    assert ask(data, "POST", "/apply", json={"conflicts": "fail"}).json()["files"] == 1
    assert stored(data)
    assert ask(data, "GET").status_code == 404
    assert not list((data.server.folder / "collections" / data.project_id / "imports").iterdir())


def test_what_is_wrong_with_a_part_is_said_and_it_counts_for_nothing(data: Data, archive: bytes) -> None:
    begin(data, archive)
    assert send(data, archive, 1).status_code == 200
    wrong = send(data, archive, 1, sha256="0" * 64)
    assert (wrong.status_code, "checksum" in errors(wrong)[0]) == (400, True)
    assert ask(data, "GET").json()["parts"] == []
    for number in (0, 4, 10**6):
        assert "part must be" in errors(ask(data, "PUT", f"/parts/{number}", content=b"x"))[0]
    for content in (b"", b"x" * 10, part(archive, 1) + b"x"):
        assert "bytes long" in errors(ask(data, "PUT", "/parts/1", content=content))[0]
    assert ask(data, "PUT", json={"size_bytes": len(archive) + 1}).status_code == 409
    ask(data, "DELETE")
    for size in (0, -1, True, "1", None, 1.5):
        assert "size_bytes" in errors(ask(data, "PUT", json={"size_bytes": size}))[0]
    assert ask(data, "PUT", json={"size_bytes": 10**12}).status_code == 507
    assert send(data, archive, 1).status_code == 404


def test_what_is_no_archive_leaves_nothing(data: Data) -> None:
    content = os.urandom(1000)
    begin(data, content)
    assert send(data, content, 1).status_code == 200
    assert "not a zip" in errors(ask(data, "POST", "/stage"))[0]
    assert ask(data, "POST", "/stage").status_code == 404
    assert not list((data.server.folder / "collections" / data.project_id / "imports").iterdir())


def test_after_kill_9_it_goes_on_where_it_was(own: Data, archive: bytes) -> None:
    begin(own, archive)
    assert send(own, archive, 1).status_code == send(own, archive, 2).status_code == 200
    own.server.kill()
    own.server.start()
    assert ask(own, "GET").json()["parts"] == [1, 2]
    assert send(own, archive, 3).status_code == 200
    # As unpacking leaves it when it is killed half-way.
    folder = own.server.folder / "collections" / PROJECT / "imports" / ID
    (folder / "staged.db").write_bytes(b"half")
    (folder / "staged.db-wal").write_bytes(b"half")
    (folder / "blobs" / "ab").mkdir(parents=True)
    (folder / "blobs" / "ab" / "cd").write_bytes(b"half")
    own.server.kill()
    own.server.start()
    assert ask(own, "POST", "/stage").status_code == 200
    own.server.kill()
    own.server.start()
    assert ask(own, "POST", "/apply", json={"conflicts": "fail"}).json()["files"] == 1
    assert stored(own)


def test_what_nobody_goes_on_with_is_swept_after_a_day(own: Data, archive: bytes) -> None:
    begin(own, archive)
    send(own, archive, 1)
    folder = own.server.folder / "collections" / PROJECT / "imports" / ID
    long_ago = folder.stat().st_mtime - 25 * 3600
    own.server.stop()
    os.utime(folder, (long_ago, long_ago))
    own.server.start()
    own.put({"key": "opened"})
    until(lambda: not folder.exists(), 60, "swept")
