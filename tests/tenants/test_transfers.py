"""Exports, imports and wipes, whatever is killed on the way. The data server is the real program."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from k8s.errors import Temporary
from tenants import steps
from tenants.errors import Conflict, Refused, Unavailable
from tenants.models import Collection, Export, Import, Operation, User
from tenants.reconcile import data_admin, data_servers, transfers
from tenants.services import collections, retry
from tenants.services import transfers as services
from tenants.services.clouds import set_quota
from tenants.states import WorkState
from tests.tenants.machine import Machine, cluster
from tests.worlds import active_person, cloud_of, settle

pytestmark = pytest.mark.django_db
__all__ = ["cluster"]
FILES = {"a/b ü.txt": b"hello" * 100, "empty": b""}


@pytest.fixture
def owner(cluster: Machine) -> User:
    return active_person(cluster)


@pytest.fixture
def mine(owner: User) -> Collection:
    return filled(owner, "mine")


def filled(user: User, name: str) -> Collection:
    made = collections.create_collection(user, name)
    _, key = collections.create_key(user, made, "k")
    settle()
    made = Collection.objects.select_related("cloud__data_server").get(pk=made.pk)
    with data(made, key) as http:
        items = [{"key": f"k{n}", "n": n, "t": "ü"} for n in range(20)]
        assert http.put("letters/items", json={"items": items}).status_code == 207
        for path, content in FILES.items():
            assert http.post("photos/files", params={"name": path}, content=content).status_code == 201
    return made


def data(collection: Collection, key: str) -> httpx.Client:
    base = f"http://{collection.cloud.data_server.upstream}/v1/{collection.project_id}/"
    return httpx.Client(base_url=base, headers={"X-API-Key": key}, trust_env=False)


def zip_of(export: Export) -> bytes:
    server = export.collection.cloud.data_server
    with data_admin.connected(server.cloud_id, server.upstream) as client:
        answer = client.get(f"exports/{export.remote}")
        assert answer.status_code == 200, answer.text
        return answer.content


def exported(user: User, collection: Collection) -> Export:
    export = services.start_export(user, collection)
    settle()
    return Export.objects.select_related("operation", "collection__cloud__data_server").get(pk=export.pk)


def stage(collection: Collection, archive: bytes) -> services.Staged:
    return services.stage_archive(collection, SimpleUploadedFile("a.zip", archive))


def imported(user: User, collection: Collection, archive: bytes, conflicts: str = "fail") -> Import:
    row = services.look_at_archive(user, collection, stage(collection, archive))
    services.apply_import(user, row, conflicts)
    settle()
    return Import.objects.select_related("operation").get(pk=row.pk)


def hashes(archive: bytes) -> dict[str, str]:
    """Of every base and file; the manifest says when it was made, so it is left out."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        names = [name for name in opened.namelist() if name != "manifest.jsonl"]
        return {name: hashlib.sha256(opened.read(name)).hexdigest() for name in names}


def kill_once(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, *, after: bool) -> None:
    """The worker dies in, or right after, the first call of a function."""
    real: Callable[..., Any] = getattr(owner, name)
    left = [1]

    def dying(*args: Any, **named: Any) -> Any:
        if left and not after:
            left.pop()
            raise SystemExit("killed")
        found = real(*args, **named)
        if left:
            left.pop()
            raise SystemExit("killed")
        return found

    monkeypatch.setattr(owner, name, dying)


def test_an_export_says_its_size_and_checksum_and_holds_everything(owner: User, mine: Collection) -> None:
    export = exported(owner, mine)
    archive = zip_of(export)
    assert export.operation.state == WorkState.SUCCEEDED
    assert [step.state for step in export.operation.steps.all()] == [WorkState.SUCCEEDED] * 2
    assert (export.size_bytes, export.sha256) == (len(archive), hashlib.sha256(archive).hexdigest())
    assert set(hashes(archive)) == {"bases/letters.json", *(f"drives/photos/{name}" for name in FILES)}


def test_what_was_exported_is_the_same_in_another_persons_collection(
    owner: User, mine: Collection, cluster: Machine
) -> None:
    archive = zip_of(exported(owner, mine))
    other = active_person(cluster)
    theirs = collections.create_collection(other, "theirs")
    settle()
    row = imported(other, theirs, archive)
    assert row.operation is not None and row.operation.state == WorkState.SUCCEEDED, row.operation
    assert row.report == {"items": 20, "files": 2, "skipped": 0, "replaced": 0}
    assert hashes(zip_of(exported(other, theirs))) == hashes(archive)


def test_a_former_export_is_imported_as_it_is(owner: User, cluster: Machine) -> None:
    made = collections.create_collection(owner, "old")
    settle()
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bases/users.json", json.dumps([{"key": "a", "n": 1}]))
        archive.writestr("drives/pics/x/y.png", b"png")
    assert imported(owner, made, content.getvalue()).report == {"items": 1, "files": 1, "skipped": 0, "replaced": 0}


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("name", ["_make", "_checksum", "_told"])
def test_an_export_survives_a_worker_killed_at(
    owner: User, mine: Collection, monkeypatch: pytest.MonkeyPatch, name: str, after: bool
) -> None:
    export = services.start_export(owner, mine)
    kill_once(monkeypatch, transfers, name, after=after)
    with pytest.raises(SystemExit):
        transfers.reconcile(export.operation_id)
    settle()
    export = Export.objects.select_related("operation", "collection__cloud__data_server").get()
    assert export.operation.state == WorkState.SUCCEEDED
    assert hashlib.sha256(zip_of(export)).hexdigest() == export.sha256


@pytest.mark.parametrize("after", [False, True])
def test_an_import_is_done_once_by_workers_that_are_killed(
    owner: User, mine: Collection, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    archive = zip_of(exported(owner, mine))
    row = services.look_at_archive(owner, mine, stage(mine, archive))
    operation = services.apply_import(owner, row, "replace").operation
    assert operation is not None
    kill_once(monkeypatch, transfers, "_told", after=after)
    with pytest.raises(SystemExit):
        transfers.reconcile(operation.pk)
    transfers.reconcile(operation.pk)
    transfers.reconcile(operation.pk)
    row.refresh_from_db()
    assert row.report == {"items": 20, "files": 2, "skipped": 0, "replaced": 22}
    assert Operation.objects.get(pk=operation.pk).state == WorkState.SUCCEEDED


def test_a_server_that_was_restarted_makes_another_export(
    owner: User, mine: Collection, cluster: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = services.start_export(owner, mine)
    real = transfers._checksum

    def restarted(*args: Any) -> str:
        monkeypatch.setattr(transfers, "_checksum", real)
        cluster.kill(mine.cloud.data_server.pk)
        raise Temporary("gone", retry_after_s=0)

    monkeypatch.setattr(transfers, "_checksum", restarted)
    transfers.reconcile(export.operation_id)
    data_servers.reconcile(mine.cloud.data_server.pk)
    for _ in range(3):
        Operation.objects.filter(pk=export.operation_id).update(not_before=None)
        settle()
    export = Export.objects.select_related("operation", "collection__cloud__data_server").get()
    assert export.operation.state == WorkState.SUCCEEDED
    assert hashlib.sha256(zip_of(export)).hexdigest() == export.sha256


def test_the_next_export_ends_the_one_before(owner: User, mine: Collection) -> None:
    first, second = exported(owner, mine), exported(owner, mine)
    first.refresh_from_db()
    assert first.ended_at is not None and second.ended_at is None
    with pytest.raises(AssertionError, match="ended"):
        zip_of(first)


def test_more_collections_than_can_be_open_end_the_oldest(owner: User, cluster: Machine) -> None:
    for number in range(transfers.AT_ONCE + 1):
        made = collections.create_collection(owner, f"c{number}")
        settle()
        assert exported(owner, made).operation.state == WorkState.SUCCEEDED
    ended = [export.ended_at is not None for export in Export.objects.order_by("created_at")]
    assert ended == [True] + [False] * transfers.AT_ONCE


def test_conflicts_are_refused_skipped_or_replaced(owner: User, mine: Collection) -> None:
    archive = zip_of(exported(owner, mine))
    row = services.look_at_archive(owner, mine, stage(mine, archive))
    assert (row.preview["items"], row.preview["files"], row.preview["conflicts"]) == (20, 2, 22)
    with pytest.raises(Conflict) as refusal:
        services.apply_import(owner, row, "fail")
    assert refusal.value.field == "conflicts"
    with pytest.raises(Refused) as refused:
        services.apply_import(owner, row, "overwrite")
    assert refused.value.field == "conflicts"
    services.apply_import(owner, row, "skip")
    settle()
    row.refresh_from_db()
    assert row.report == {"items": 0, "files": 0, "skipped": 22, "replaced": 0}
    with pytest.raises(Conflict):
        services.apply_import(owner, row, "replace")


@pytest.mark.parametrize("archive", [b"", b"no zip", b"PK\x05\x06" + b"\0" * 10])
def test_hostile_archives_are_refused_by_field(owner: User, mine: Collection, archive: bytes) -> None:
    with pytest.raises(Refused) as refusal:
        stage(mine, archive)
    assert refusal.value.field == "archive"


def test_names_that_would_escape_are_refused(owner: User, mine: Collection) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("drives/pics/../../etc/passwd", b"x")
    with pytest.raises(Refused) as refusal:
        stage(mine, content.getvalue())
    assert refusal.value.field == "archive" and not Import.objects.exists()


def test_wiping_leaves_the_collection_and_its_keys(owner: User, mine: Collection) -> None:
    operation = services.wipe_collection(owner, mine)
    settle()
    operation.refresh_from_db()
    assert operation.state == WorkState.SUCCEEDED
    assert set(hashes(zip_of(exported(owner, mine)))) == set()
    assert mine.keys.count() == 1


def test_one_thing_at_a_time(owner: User, mine: Collection) -> None:
    services.start_export(owner, mine)
    for again in (services.start_export, services.wipe_collection):
        with pytest.raises(Conflict) as refusal:
            again(owner, mine)
        assert refusal.value.code == "collection_busy"


def test_a_collection_that_is_deleted_meanwhile_cancels_it(owner: User, mine: Collection) -> None:
    export = services.start_export(owner, mine)
    collections.remove_collection(owner, mine)
    settle()
    operation = Operation.objects.get(pk=export.operation_id)
    assert operation.state == WorkState.CANCELLED
    assert not Collection.objects.filter(pk=mine.pk).exists()


def test_without_its_server_an_archive_is_refused_for_now_and_an_export_waits(owner: User, cluster: Machine) -> None:
    made = collections.create_collection(owner, "new")
    with pytest.raises(Unavailable):
        stage(made, b"")
    export = services.start_export(owner, made)
    transfers.reconcile(export.operation_id)
    export.operation.refresh_from_db()
    assert export.operation.state in steps.OPEN and export.operation.not_before is not None


def test_what_failed_can_be_tried_again(owner: User, mine: Collection) -> None:
    archive = zip_of(exported(owner, mine))
    row = services.look_at_archive(owner, mine, stage(mine, archive))
    first = services.apply_import(owner, row, "skip").operation
    steps.fail(first, "no")
    assert first is not None
    again = retry.retry_operation(owner, Operation.objects.get(pk=first.pk))
    assert again.pk != first.pk
    settle()
    row.refresh_from_db()
    assert row.operation_id == again.pk and row.report is not None
    with pytest.raises(Conflict):
        retry.retry_operation(owner, Operation.objects.get(pk=first.pk))


@pytest.mark.parametrize("size_mib", [2, 40])
def test_an_archive_that_does_not_fit_is_refused_by_field(owner: User, mine: Collection, size_mib: int) -> None:
    set_quota(None, cloud_of(owner), cpu_millis=None, memory_mib=None, storage_mib=1, instances=None)
    settle()
    with pytest.raises(Refused) as refusal:
        stage(mine, b"\0" * size_mib * 1024 * 1024)
    assert (refusal.value.code, refusal.value.field) == ("storage_full", "archive")
