"""/api/v1/collections/<id>/exports/, imports/ and wipe/. The data server is the real program."""

import asyncio
import hashlib
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connections
from django.test import AsyncClient

from tenants.models import Collection, Export, Import, Operation, User
from tests.api.client import Program, error
from tests.tenants.machine import Machine, cluster
from tests.tenants.test_transfers import filled, zip_of
from tests.worlds import active_person, settle, zipped

pytestmark = pytest.mark.usefixtures("races")
__all__ = ["cluster"]
ARCHIVE = {"bases/users.json": '[{"key": "a", "n": 1}]', "drives/pics/x.png": "png"}


@pytest.fixture(autouse=True)
def no_kept_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads of the live process would keep theirs, and with them the test database."""
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)


@pytest.fixture
def owner(races: None, cluster: Machine) -> User:
    return active_person(cluster)


@pytest.fixture
def mine(owner: User) -> Collection:
    return filled(owner, "mine diary")


def send(program: Program, path: str, archive: Any, *, key: str = "", **fields: str) -> Any:
    headers = program.headers | ({"Idempotency-Key": key} if key else {})
    return program.http.post(f"/api/v1/{path}", {"archive": archive, **fields}, headers=headers)


def fetch(program: Program, path: str, method: str = "get", **headers: str) -> tuple[Any, bytes]:
    async def scene() -> tuple[Any, bytes]:
        answer = await getattr(AsyncClient(), method)(path, headers={**program.headers, **headers})
        if not answer.streaming:
            return answer, answer.content
        return answer, b"".join([piece async for piece in answer.streaming_content])

    return asyncio.run(scene())


def test_an_export_is_made_and_fetched_in_pieces(owner: User, mine: Collection) -> None:
    program, path = Program(owner), f"collections/{mine.pk}/exports/"
    answer = program("POST", path, key="once")
    made = answer.json()
    assert (answer.status_code, made["state"], made["download"]) == (202, "queued", None)
    assert program("POST", path, key="once").json()["id"] == made["id"]
    early = f"/api/v1/{path}{made['id']}/download/"
    assert fetch(program, early)[0].status_code == 409
    settle()
    ready = program("GET", f"{path}{made['id']}/").json()
    assert program("GET", path).json()["results"] == [ready]
    assert ready["download"] == early

    whole, content = fetch(program, early)
    assert whole.status_code == 200 and len(content) == ready["size_bytes"] == int(whole["Content-Length"])
    assert hashlib.sha256(content).hexdigest() == ready["sha256"] == whole["X-Checksum-Sha256"]
    assert "mine-diary-" in whole["Content-Disposition"]
    part, rest = fetch(program, early, range="bytes=100-", **{"if-range": whole["ETag"]})
    assert (part.status_code, rest) == (206, content[100:])
    assert part["Content-Range"] == f"bytes 100-{len(content) - 1}/{len(content)}"
    head, nothing = fetch(program, early, "head")
    assert (head["Content-Length"], nothing) == (str(len(content)), b"")
    outside, _ = fetch(program, early, range="bytes=99999999-")
    assert (outside.status_code, outside["Content-Range"]) == (416, f"bytes */{len(content)}")


def test_an_export_that_its_server_let_go_says_so(owner: User, mine: Collection, cluster: Machine) -> None:
    program = Program(owner)
    made = program("POST", f"collections/{mine.pk}/exports/").json()
    settle()
    program("POST", f"collections/{mine.pk}/exports/")
    settle()
    answer, _ = fetch(program, f"/api/v1/collections/{mine.pk}/exports/{made['id']}/download/")
    assert error(answer)[:2] == (410, "export_ended")
    last = Export.objects.first()
    assert last is not None
    Export.objects.filter(pk=last.pk).update(remote=f"{mine.project_id}-none")
    answer, _ = fetch(program, f"/api/v1/collections/{mine.pk}/exports/{last.pk}/download/")
    assert error(answer)[:2] == (410, "export_ended")
    assert program("GET", f"collections/{mine.pk}/exports/{last.pk}/").json()["download"] is None


def test_a_look_writes_nothing_and_can_be_applied(owner: User, mine: Collection) -> None:
    program, path = Program(owner), f"collections/{mine.pk}/imports/"
    answer = send(program, f"{path}?dry_run=true", zipped({**ARCHIVE, "bases/letters.json": '[{"key": "k1"}]'}))
    seen = answer.json()
    assert (answer.status_code, seen["operation"], seen["report"]) == (200, None, None)
    assert (seen["preview"]["items"], seen["preview"]["files"], seen["preview"]["conflicts"]) == (2, 1, 1)
    assert not Operation.objects.filter(kind="import").exists()
    apply = f"{path}{seen['id']}/apply/"
    assert error(program("POST", apply, {})) == (409, "import_conflicts", "conflicts")
    assert error(program("POST", apply, {"conflicts": "x"})) == (422, "invalid_conflicts", "conflicts")
    assert program("POST", apply, {"conflicts": "replace"}).status_code == 202
    settle()
    done = program("GET", f"{path}{seen['id']}/").json()
    assert (done["state"], done["report"]["items"], done["report"]["replaced"]) == ("succeeded", 2, 1)


def test_an_import_with_a_key_is_one_import(owner: User, mine: Collection) -> None:
    program, path = Program(owner), f"collections/{mine.pk}/imports/"
    first, again = (send(program, path, zipped(ARCHIVE), key="k") for _ in range(2))
    assert (first.status_code, again.status_code) == (202, 202) and first.json() == again.json()
    other = send(program, path, zipped({"bases/b.json": "[]"}), key="k")
    assert error(other) == (422, "idempotency_key_reused", "Idempotency-Key")
    settle()
    assert program("GET", f"operations/{first.json()['operation']}/").json()["state"] == "succeeded"
    assert Import.objects.count() == 1


@pytest.mark.parametrize("archive", [b"no zip", zipped({"bases/a.json": "{"}).getvalue()])
def test_hostile_archives_name_the_field(owner: User, mine: Collection, archive: bytes) -> None:
    program = Program(owner)
    answer = send(program, f"collections/{mine.pk}/imports/", SimpleUploadedFile("a.zip", archive))
    assert error(answer) == (422, "invalid_archive", "archive")
    assert error(program.http.post(f"/api/v1/collections/{mine.pk}/imports/", headers=program.headers))[2] == "archive"
    assert not Import.objects.exists()


def test_too_large_an_archive_is_not_read(owner: User, mine: Collection, settings: Any) -> None:
    settings.BUNDLE_LIMIT_MIB = 0
    answer = send(Program(owner), f"collections/{mine.pk}/imports/", zipped({"x": "y" * 100_000}))
    assert answer.status_code == 413


def test_a_wipe_empties_it(owner: User, mine: Collection) -> None:
    program = Program(owner)
    answer = program("POST", f"collections/{mine.pk}/wipe/")
    assert (answer.status_code, answer.json()["kind"], answer.json()["collection"]) == (202, "wipe", mine.pk)
    settle()
    program("POST", f"collections/{mine.pk}/exports/")
    settle()
    export = Export.objects.select_related("collection__cloud__data_server").get()
    assert b"letters" not in zip_of(export)


def test_strangers_and_nobody_get_nothing(owner: User, mine: Collection, cluster: Machine) -> None:
    program = Program(owner)
    made = program("POST", f"collections/{mine.pk}/exports/").json()
    settle()
    seen = send(program, f"collections/{mine.pk}/imports/?dry_run=true", zipped(ARCHIVE)).json()
    one = f"collections/{mine.pk}/"
    stranger, nobody, reader = Program(active_person(cluster)), Program(), Program(owner, ("read",))
    for method, path, body in (
        ("GET", f"{one}exports/", None),
        ("POST", f"{one}exports/", None),
        ("GET", f"{one}exports/{made['id']}/", None),
        ("GET", f"{one}imports/", None),
        ("GET", f"{one}imports/{seen['id']}/", None),
        ("POST", f"{one}imports/{seen['id']}/apply/", {}),
        ("POST", f"{one}wipe/", None),
    ):
        assert error(stranger(method, path, body)) == (404, "not_found", None)
        assert error(nobody(method, path, body))[0] == 401
        if method == "POST":
            assert error(reader(method, path, body))[:2] == (403, "forbidden")
    for who, status in ((stranger, 404), (nobody, 401)):
        assert send(who, f"{one}imports/", zipped(ARCHIVE)).status_code == status
        assert fetch(who, f"/api/v1/{one}exports/{made['id']}/download/")[0].status_code == status
    assert fetch(reader, f"/api/v1/{one}exports/{made['id']}/download/")[0].status_code == 200
