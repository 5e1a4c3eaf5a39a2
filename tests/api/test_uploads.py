"""/api/v1/collections/<id>/uploads/: archives in parts; and bases/ and drives/. The data server is the real program."""

import hashlib
import io
import os
import zipfile
from typing import Any

import pytest

from tenants.models import Collection, DataServer, Import, Operation, User
from tenants.services import uploads
from tests.api.client import Program, error
from tests.tenants.machine import Machine, cluster
from tests.tenants.test_transfers import filled
from tests.worlds import active_person, settle

pytestmark = pytest.mark.django_db
__all__ = ["cluster"]
CONTENT = os.urandom(9 * 1024 * 1024)


@pytest.fixture(scope="module")
def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        made.writestr("bases/users.json", '[{"key": "a", "n": 1}]')
        made.writestr("drives/pics/large.bin", CONTENT)
    return buffer.getvalue()


@pytest.fixture
def owner(cluster: Machine) -> User:
    return active_person(cluster)


@pytest.fixture
def mine(owner: User) -> Collection:
    return filled(owner, "mine diary")


def send(program: Program, path: str, number: int, part: bytes, sha256: str | None = None) -> Any:
    checksum = hashlib.sha256(part).hexdigest() if sha256 is None else sha256
    where = f"{path}parts/{number}/?sha256={checksum}"
    return program("PUT", where, part, content_type="application/octet-stream")


def begun(program: Program, mine: Collection, archive: bytes, **more: Any) -> tuple[str, Any]:
    answer = program("POST", f"collections/{mine.pk}/uploads/", {"size_bytes": len(archive), **more})
    assert answer.status_code == 201, answer.content
    return f"collections/{mine.pk}/uploads/{answer.json()['id']}/", answer.json()


def test_an_archive_in_parts_is_looked_through_and_imported(owner: User, mine: Collection, archive: bytes) -> None:
    program = Program(owner)
    path, told = begun(program, mine, archive, fingerprint="f")
    size = told["part_bytes"]
    assert (told["size_bytes"], told["parts"], len(archive) // size) == (len(archive), [], 1)
    assert send(program, path, 2, archive[size:]).status_code == 204
    assert error(program("POST", f"{path}finish/")) == (422, "part_missing", "part")
    again, later = begun(program, mine, archive, fingerprint="f")
    assert (again, later["parts"]) == (path, [2])
    assert send(program, path, 1, archive[:size]).status_code == 204
    assert program("GET", path).json()["parts"] == [1, 2]

    finishing, twice = (program("POST", f"{path}finish/") for _ in range(2))
    assert (finishing.status_code, finishing.json()["preview"]) == (202, None)
    assert finishing.json()["operation"] == twice.json()["operation"]
    one = f"collections/{mine.pk}/imports/{told['id']}/"
    assert error(program("POST", f"{one}apply/", {})) == (409, "collection_busy", None)
    settle()
    seen = program("GET", one).json()
    assert (seen["state"], seen["preview"]["items"], seen["preview"]["files"]) == ("succeeded", 1, 1)
    assert error(program("GET", path))[:2] == (409, "upload_complete")
    assert program("POST", f"{one}apply/", {}).status_code == 202
    settle()
    done = program("GET", one).json()
    assert (done["state"], done["report"]["files"]) == ("succeeded", 1)
    assert begun(program, mine, archive, fingerprint="f")[0] != path


def test_what_is_wrong_names_its_field(owner: User, mine: Collection, archive: bytes, monkeypatch: Any) -> None:
    program = Program(owner)
    new = f"collections/{mine.pk}/uploads/"
    for size in (0, -1, "x", None):
        assert error(program("POST", new, {"size_bytes": size}))[::2] == (422, "size_bytes")
    assert error(program("POST", new, {"size_bytes": 2**43})) == (422, "invalid_size", "size_bytes")
    assert error(program("POST", new, {"size_bytes": 2**41})) == (422, "storage_full", "size_bytes")
    assert error(program("POST", new, {"size_bytes": 1, "fingerprint": "a\x00"}))[::2] == (422, "fingerprint")
    path, told = begun(program, mine, archive)
    first = archive[: told["part_bytes"]]
    assert error(send(program, path, 1, first, "0" * 64)) == (422, "invalid_part", "part")
    assert error(send(program, path, 1, first, "no")) == (422, "invalid_sha256", "sha256")
    assert error(send(program, path, 3, b"x")) == (422, "invalid_part", "part")
    monkeypatch.setattr(uploads, "PART_LIMIT_BYTES", 100)
    assert send(program, path, 1, first).status_code == 413
    assert program("GET", path).json()["parts"] == []


def test_the_same_request_again_begins_one_upload_and_few_go_on(owner: User, mine: Collection, archive: bytes) -> None:
    program, new = Program(owner), f"collections/{mine.pk}/uploads/"
    ids = {program("POST", new, {"size_bytes": 9}, key="k").json()["id"] for _ in range(2)}
    assert len(ids) == 1
    for _ in range(uploads.AT_ONCE + 2):
        begun(program, mine, archive)
    assert Import.objects.count() == uploads.AT_ONCE


def test_what_is_no_archive_fails_with_its_reason(owner: User, mine: Collection) -> None:
    program = Program(owner)
    path, told = begun(program, mine, b"no zip at all")
    assert send(program, path, 1, b"no zip at all").status_code == 204
    finishing = program("POST", f"{path}finish/").json()
    settle()
    operation = program("GET", f"operations/{finishing['operation']}/").json()
    assert operation["state"] == "failed" and "not a zip" in operation["error"]
    one = f"collections/{mine.pk}/imports/{told['id']}/"
    assert error(program("POST", f"{one}apply/", {})) == (409, "import_not_ready", None)


def test_a_data_server_that_is_away_can_be_asked_again(
    owner: User, mine: Collection, archive: bytes, cluster: Machine
) -> None:
    program, new = Program(owner), f"collections/{mine.pk}/uploads/"
    path, told = begun(program, mine, archive)
    before = DataServer.objects.get().upstream
    DataServer.objects.update(upstream="")
    first = archive[: told["part_bytes"]]
    assert error(send(program, path, 1, first))[:2] == (503, "data_server_away")
    assert error(program("POST", new, {"size_bytes": 9}))[:2] == (503, "data_server_away")
    DataServer.objects.update(upstream=before)
    assert send(program, path, 1, first).status_code == 204


def test_bases_and_drives_are_made_and_removed(owner: User, mine: Collection) -> None:
    program, one = Program(owner), f"collections/{mine.pk}/"
    [letters] = program("GET", f"{one}bases/").json()["results"]
    assert (letters["name"], letters["items"]) == ("letters", 20)
    for _ in range(2):
        made = program("POST", f"{one}bases/", {"name": "a b"})
        assert (made.status_code, made.json()) == (201, {"name": "a b", "items": 0, "size_bytes": 0})
    assert program("POST", f"{one}drives/", {"name": "new"}).json() == {"name": "new", "files": 0, "size_bytes": 0}
    assert error(program("POST", f"{one}bases/", {"name": "a/b"})) == (422, "data_refused", "name")
    assert error(program("POST", f"{one}bases/", {"name": ""}))[::2] == (422, "name")
    for _ in range(2):
        assert program("DELETE", f"{one}bases/a%20b/").status_code == 204
    assert error(program("DELETE", f"{one}drives/photos/?folder=a")) == (422, "invalid_folder", "folder")
    assert program("DELETE", f"{one}drives/photos/?folder=a/").json() == {"removed": 1}
    assert program("GET", f"{one}drives/").json()["results"] == [
        {"name": "new", "files": 0, "size_bytes": 0},
        {"name": "photos", "files": 1, "size_bytes": 0},
    ]
    assert program("DELETE", f"{one}drives/photos/").status_code == 204
    assert [row["name"] for row in program("GET", f"{one}drives/").json()["results"]] == ["new"]


def test_strangers_and_nobody_get_nothing(owner: User, mine: Collection, archive: bytes, cluster: Machine) -> None:
    path, _ = begun(Program(owner), mine, archive)
    one = f"collections/{mine.pk}/"
    stranger, nobody, reader = Program(active_person(cluster)), Program(), Program(owner, ("read",))
    for method, where, body in (
        ("POST", f"{one}uploads/", {"size_bytes": 9}),
        ("GET", path, None),
        ("PUT", f"{path}parts/1/", b"x"),
        ("POST", f"{path}finish/", None),
        ("GET", f"{one}bases/", None),
        ("POST", f"{one}bases/", {"name": "x"}),
        ("DELETE", f"{one}bases/letters/", None),
        ("GET", f"{one}drives/", None),
        ("POST", f"{one}drives/", {"name": "x"}),
        ("DELETE", f"{one}drives/photos/", None),
    ):
        assert error(stranger(method, where, body)) == (404, "not_found", None)
        assert error(nobody(method, where, body))[0] == 401
        if method != "GET":
            assert error(reader(method, where, body))[:2] == (403, "forbidden")
    assert Import.objects.count() == 1 and not Operation.objects.filter(kind="look").exists()
