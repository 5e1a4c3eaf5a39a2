"""Exports: one instant, any range, checksums. Imports: previewed, whole or not at all, of the former platform's zips too."""

import hashlib
import io
import json
import os
import struct
import subprocess
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tenants.data_server import archives, keys
from tests.data_server.running import Data, open_collection, running
from tests.data_server.test_base import errors

NAMES = ["a/b.txt", "/lead", "a//b", "./dot", "win\\x", "ü/日本.bin", "a/\x01", "%", "s" * 250, "%/lead", "100%"]


@pytest.fixture
def full(data: Data) -> Data:
    for start in range(0, 500, 25):
        data.put(*({"key": f"k{n:03}", "n": n, "t": ["ü", None, {"x": 1.5}]} for n in range(start, start + 25)))
    data.put({"key": "gone", "__expires": 1}, {"key": "later", "__expires": 4102444800}, name="other base")
    for name in NAMES:
        data.upload(name, name.encode() * 50, kind="text/x-test")
    upload = data.drive("POST", "uploads", params={"name": "big"}).json()["upload_id"]
    for number in (1, 2, 3):
        part = {"name": "big", "part": number}
        data.drive("POST", f"uploads/{upload}/parts", params=part, content=bytes([number]) * 2_000_000)
    data.drive("PATCH", f"uploads/{upload}", params={"name": "big"})
    return data


def export(data: Data) -> tuple[str, bytes]:
    with data.server.admin() as admin:
        made = admin.post(f"/collections/{data.project_id}/exports")
        assert made.status_code == 201, made.text
        answer = admin.get(f"/exports/{made.json()['id']}")
        assert len(answer.content) == made.json()["size_bytes"] == int(answer.headers["content-length"])
        return made.json()["id"], answer.content


def end(data: Data, export_id: str) -> None:
    with data.server.admin() as admin:
        assert admin.delete(f"/exports/{export_id}").status_code == 200


def stage(data: Data, archive: bytes, status: int = 201) -> Any:
    with data.server.admin() as admin:
        answer = admin.post(f"/collections/{data.project_id}/imports", content=archive)
        assert answer.status_code == status, answer.text
        return answer.json()


def apply(data: Data, import_id: str, conflicts: str, status: int = 200) -> Any:
    with data.server.admin() as admin:
        answer = admin.post(f"/collections/{data.project_id}/imports/{import_id}/apply", json={"conflicts": conflicts})
        assert answer.status_code == status, answer.text
        return answer.json()


def contents(data: Data) -> dict[str, Any]:
    """Everything in a collection: items as they are, hashes and types of files."""
    with data.server.admin() as admin:
        shown = admin.get(f"/collections/{data.project_id}").json()
    found: dict[str, Any] = {}
    for base in shown["bases"]:
        found[f"base {base['name']}"] = data.query(name=base["name"]).json()["items"]
    for drive in shown["drives"]:
        for name in data.names(drive["name"])["names"]:
            answer = data.drive("GET", "files/download", drive["name"], params={"name": name})
            found[f"{drive['name']} {name}"] = (
                hashlib.sha256(answer.content).hexdigest(),
                answer.headers["content-type"],
            )
    return found


def zipped(entries: dict[str, bytes], change: Callable[[zipfile.ZipFile], None] | None = None) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
        if change is not None:
            change(archive)
    return made.getvalue()


def test_an_export_imports_elsewhere_with_identical_contents(full: Data, tmp_path: Path) -> None:
    export_id, archive = export(full)
    with running(tmp_path / "second") as second:
        there = open_collection(second)
        preview = stage(there, archive)
        assert preview["problems"] == preview["ignored"] == []
        assert [base["items"] for base in preview["bases"]] == [1, 500]
        assert contents(there) == {}
        report = apply(there, preview["id"], "fail")
        assert report == {"items": 501, "files": len(NAMES) + 1, "skipped": 0, "replaced": 0}
        assert contents(there) == contents(full)
        with second.admin() as admin:
            used = admin.get("/quota").json()["used_bytes"]
            assert used == sum(one["bytes"] for one in preview["bases"] + preview["drives"]) == preview["bytes"]
    end(full, export_id)


def test_ordinary_tools_read_an_export(full: Data, tmp_path: Path) -> None:
    export_id, archive = export(full)
    end(full, export_id)
    (tmp_path / "export.zip").write_bytes(archive)
    subprocess.run(["unzip", "-tqq", "export.zip"], cwd=tmp_path, check=True)
    with zipfile.ZipFile(tmp_path / "export.zip") as found:
        assert found.testzip() is None
        assert [item["n"] for item in json.loads(found.read("bases/things.json"))] == list(range(500))
        assert [item["key"] for item in json.loads(found.read("bases/other base.json"))] == ["later"]
        assert found.read("drives/docs/a/b.txt") == b"a/b.txt" * 50
        inside = [name for name in found.namelist() if name.startswith("drives/")]
        assert len(set(inside)) == len(NAMES) + 1
        assert not any("//" in name or "\\" in name or "/./" in name for name in inside)
        lines = [json.loads(line) for line in found.read("manifest.jsonl").splitlines()]
    sums = {line["path"]: line for line in lines if "path" in line}
    assert sums["drives/docs/a/b.txt"]["chunks"] == [[350, hashlib.sha256(b"a/b.txt" * 50).hexdigest()]]
    assert {line["name"] for line in lines if "drive" in line} == {*NAMES, "big"}


def test_an_export_is_one_instant_and_resumes_at_any_byte(full: Data) -> None:
    before = contents(full)
    export_id, archive = export(full)
    with full.server.admin() as admin:
        full.put({"key": "k000", "n": "changed"}, {"key": "new"})
        full.drive("DELETE", "files", json={"names": ["big", "a/b.txt"]})
        full.upload("100%", b"changed")
        assert admin.post(f"/collections/{full.project_id}/wipe").status_code == 200
        assert contents(full) == {}
        for begin in (0, 1, 57, 1000, len(archive) // 2, len(archive) - 3000, len(archive) - 1):
            answer = admin.get(
                f"/exports/{export_id}", headers={"Range": f"bytes={begin}-", "If-Range": f'"{export_id}"'}
            )
            assert (answer.status_code, answer.content == archive[begin:]) == (206, True)
        answer = admin.get(f"/exports/{export_id}", headers={"Range": "bytes=100-5000000"})
        assert answer.content == archive[100:5_000_001]
        assert (
            admin.get(f"/exports/{export_id}", headers={"Range": "bytes=0-9", "If-Range": '"other"'}).status_code == 200
        )
        assert admin.get(f"/exports/{export_id}", headers={"Range": f"bytes={len(archive)}-"}).status_code == 416
    preview = stage(full, archive)
    apply(full, preview["id"], "fail")
    assert contents(full) == before
    end(full, export_id)
    with full.server.admin() as admin:
        assert errors(admin.get(f"/exports/{export_id}"), 410)


FORMER = {
    "list": b'\xef\xbb\xbf [ {"key": "a", "t": "\xc3\xbc"} , {"key":"b","n":1}\n]\n',
    "object with items": b'{"base": "notes", "items": [{"key": "a", "t": "\xc3\xbc"}, {"key": "b", "n": 1}]}',
    "object by key": b'{"a": {"t": "\xc3\xbc"}, "b": {"n": 1}}',
    "below a folder": b'[{"key":"a","t":"\\u00fc"},{"key":"b","n":1}]',
}


@pytest.mark.parametrize("layout", FORMER)
def test_exports_of_the_former_platform_import_as_they_are(data: Data, layout: str) -> None:
    top = "my app/" if layout == "below a folder" else ""
    archive = zipped({f"{top}bases/notes.json": FORMER[layout], f"{top}drives/pics/2021/a b.png": b"png"})
    apply(data, stage(data, archive)["id"], "fail")
    assert data.query(name="notes").json()["items"] == [{"key": "a", "t": "ü"}, {"key": "b", "n": 1}]
    answer = data.drive("GET", "files/download", "pics", params={"name": "2021/a b.png"})
    assert (answer.content, answer.headers["content-type"]) == (b"png", "image/png")


def test_a_long_base_is_read_in_pieces(data: Data) -> None:
    items = [{"key": f"{n:05}", "t": "ü" * 100, "n": n} for n in range(5000)]
    content = json.dumps(items, ensure_ascii=False, indent=1).encode()
    assert apply(data, stage(data, zipped({"bases/things.json": content}))["id"], "fail")["items"] == 5000
    page = data.query([{"n": 4321}]).json()
    assert [item["key"] for item in page["items"]] == ["04321"]


def test_conflicts_are_counted_and_treated_as_chosen(data: Data) -> None:
    data.put({"key": "a", "v": "old"}, {"key": "dead", "__expires": 1})
    data.upload("f", b"old")
    archive = zipped(
        {
            "bases/things.json": b'[{"key":"a","v":"new"},{"key":"b"},{"key":"dead"}]',
            "drives/docs/f": b"new",
            "drives/docs/g": b"new",
        }
    )
    preview = stage(data, archive)
    assert preview["bases"] == [{"name": "things", "items": 3, "bytes": 46, "conflicts": 1}]
    assert preview["drives"] == [{"name": "docs", "files": 2, "bytes": 6, "conflicts": 1}]
    before = contents(data)
    assert errors_of(apply(data, preview["id"], "fail", 409))
    assert errors_of(apply(data, preview["id"], "other", 400))
    assert contents(data) == before
    assert apply(data, preview["id"], "skip") == {"items": 2, "files": 1, "skipped": 2, "replaced": 0}
    assert data.base("GET", "items/a").json()["v"] == "old"
    assert data.drive("GET", "files/download", params={"name": "f"}).content == b"old"
    again = stage(data, archive)
    assert apply(data, again["id"], "replace") == {"items": 3, "files": 2, "skipped": 0, "replaced": 5}
    assert data.base("GET", "items/a").json()["v"] == "new"
    assert data.drive("GET", "files/download", params={"name": "f"}).content == b"new"
    assert_counts_are_true(data)


def errors_of(body: Any) -> bool:
    return bool(body["errors"])


def assert_counts_are_true(data: Data) -> None:
    with data.server.admin() as admin:
        shown = admin.get(f"/collections/{data.project_id}").json()
    items = data.query().json()["items"]
    [base], [drive] = shown["bases"], shown["drives"]
    size = sum(len(json.dumps(item, ensure_ascii=False, separators=(",", ":")).encode()) for item in items)
    assert (base["items"], base["bytes"]) == (len(items), size)
    assert drive["files"] == len(data.names()["names"])
    assert shown["bytes"] == base["bytes"] + drive["bytes"]


def test_applying_twice_changes_nothing(data: Data) -> None:
    preview = stage(data, zipped({"bases/things.json": b'[{"key":"a","v":1}]'}))
    first = apply(data, preview["id"], "fail")
    data.put({"key": "a", "v": 2})
    assert apply(data, preview["id"], "fail") == first
    assert data.base("GET", "items/a").json()["v"] == 2


def link(archive: zipfile.ZipFile) -> None:
    info = zipfile.ZipInfo("drives/d/link")
    info.external_attr = 0o120777 << 16
    archive.writestr(info, "/etc/passwd")


def twice(archive: zipfile.ZipFile) -> None:
    archive.writestr("drives/d/a", b"1")
    with warnings.catch_warnings(action="ignore"):
        archive.writestr("drives/d/a", b"2")


def crowd(entries: int, told: int) -> bytes:
    """An archive with so many empty files, whose end says `told`."""
    record = struct.pack("<I24xHHH12x", 0x02014B50, 0, 0, 0)
    end = struct.pack("<I4xHHIIH", 0x06054B50, told, told, entries * len(record), 0, 0)
    return record * entries + end


MANIFEST = b'{"path":"drives/d/a","drive":"d",%b}'


@pytest.mark.parametrize(
    ("archive", "named"),
    [
        (b"no zip", "zip"), (b"", "zip"), (zipped({"readme.txt": b"a", "other/x": b"a"}), "neither"),
        (zipped({"drives/d/../../x": b"a"}), "drives/d/../../x"), (zipped({"../bases/x.json": b"[]"}), "../bases/x.json"),
        (zipped({"drives/d/a\\..\\b": b"a"}), "leads out"), (zipped({"/drives/d/a": b"a"}), "/drives/d/a"),
        (zipped({}, link), "link"), (zipped({}, twice), "twice"),
        (zipped({"bases/x.json": b"[{]"}), "bases/x.json"), (zipped({"bases/x.json": b'[{"key":"a"}'}), "bases/x.json"),
        (zipped({"bases/x.json": b'[{"key":"a"}] more'}), "bases/x.json"),
        (zipped({"bases/x.json": b'"text"'}), "bases/x.json"),
        (zipped({"bases/x.json": b'[{"key":"a","n":NaN}]'}), "bases/x.json"),
        (zipped({"bases/x.json": b'["\xff"]'}), "bases/x.json"),
        (zipped({"bases/x.json": b"[" * 100_000}), "bases/x.json"), (zipped({"bases/...json": b"[]"}), "'..'"),
        (zipped({"drives/d/a": b"x", "manifest.jsonl": MANIFEST % b'"name":"../a"'}), "drives/d/a"),
        (zipped({"drives/d/a": b"x", "manifest.jsonl": MANIFEST % b'"chunks":[[1,"00"]]'}), "SHA-256"),
        (zipped({"drives/d/a": b"x", "manifest.jsonl": b"[" * 5_000_000}), "manifest.jsonl"),
        (crowd(archives.ENTRIES + 1, 7), "more than 150000 entries"),
    ],
)  # fmt: skip
def test_hostile_and_broken_archives_are_refused_and_leave_nothing(data: Data, archive: bytes, named: str) -> None:
    assert named in stage(data, archive, 400)["errors"][0]
    assert contents(data) == {}
    imports = data.server.folder / "collections" / data.project_id / "imports"
    assert list(imports.iterdir()) == []


def test_a_corrupt_archive_is_detected(full: Data) -> None:
    export_id, archive = export(full)
    end(full, export_id)
    at = archive.index(b"a/b.txta/b.txt") + 20
    broken = archive[:at] + b"X" + archive[at + 1 :]
    assert "a/b.txt" in stage(full, broken, 400)["errors"][0]


def test_items_that_cannot_be_stored_are_shown_and_prevent_the_import(data: Data) -> None:
    preview = stage(data, zipped({"bases/x.json": b'[{"key":"a"},{"key":7},{"key":"b","":1}]'}))
    assert [problem.partition(":")[0] for problem in preview["problems"]] == [
        "bases/x.json[1].key must be a string", "Attribute names must not be empty",
    ]  # fmt: skip
    assert errors_of(apply(data, preview["id"], "replace", 400))
    assert contents(data) == {}


def test_what_does_not_fit_is_not_imported(data: Data) -> None:
    preview = stage(data, zipped({"bases/x.json": b'[{"key":"a"}]', "drives/d/f": os.urandom(5000)}))
    with data.server.admin() as admin:
        used = admin.get("/quota").json()["used_bytes"]
        admin.put("/quota", json={"limit_bytes": used + 4000})
        assert "quota" in apply(data, preview["id"], "skip", 507)["errors"][0]
        admin.put("/quota", json={"limit_bytes": None})
    assert contents(data) == {}
    assert apply(data, preview["id"], "skip")["files"] == 1


def test_a_discarded_import_is_gone(data: Data) -> None:
    preview = stage(data, zipped({"bases/x.json": b'[{"key":"a"}]'}))
    with data.server.admin() as admin:
        assert admin.delete(f"/collections/{data.project_id}/imports/{preview['id']}").status_code == 200
    assert errors_of(apply(data, preview["id"], "skip", 404))
    assert errors_of(apply(data, "..%2F..", "skip", 404))


def test_single_bases_and_drives_are_removed_whole(full: Data) -> None:
    with full.server.admin() as admin:
        where = f"/collections/{full.project_id}"
        assert admin.delete(f"{where}/drives/docs").status_code == 200
        assert admin.delete(f"{where}/bases/other base").status_code == 200
        assert errors(admin.delete(f"{where}/bases/other base"), 404)
        shown = admin.get(where).json()
    assert [base["name"] for base in shown["bases"]] == ["things"]
    assert (shown["drives"], shown["bytes"]) == ([], shown["bases"][0]["bytes"])
    assert full.names() == {"names": []}


def test_empty_ones_are_made_once_and_folders_are_removed_with_what_is_below(full: Data) -> None:
    with full.server.admin() as admin:
        root = f"/collections/{full.project_id}"
        assert [admin.put(f"{root}/bases/new").status_code for _ in range(2)] == [201, 200]
        assert admin.put(f"{root}/drives/new drive").status_code == 201
        assert admin.put(f"{root}/drives/a%2Fb").status_code == 400
        shown = admin.get(root).json()
        assert {"name": "new", "items": 0, "bytes": 0} in shown["bases"]
        assert {"name": "new drive", "files": 0, "bytes": 0} in shown["drives"]
        before = len(full.names()["names"])
        for name in ("folder/x", "folder/y/z", "folder", "folders"):
            full.upload(name, b"1")
        assert admin.delete(f"{root}/drives/docs/folder", params={"prefix": "folder"}).status_code == 400
        removed = [admin.delete(f"{root}/drives/docs/folder", params={"prefix": "folder/"}).json() for _ in range(2)]
        assert removed == [{"removed": 2}, {"removed": 0}]
        assert {"folder", "folders"} < set(full.names()["names"])
        assert len(full.names()["names"]) == before + 2


def test_an_export_of_nothing_imports_as_nothing(data: Data) -> None:
    made, archive = export(data)
    end(data, made)
    staged = stage(data, archive)
    assert (staged["bases"], staged["drives"], staged["problems"]) == ([], [], [])
    assert apply(data, staged["id"], "fail") == {"items": 0, "files": 0, "skipped": 0, "replaced": 0}


def test_too_many_exports_at_once_are_refused(data: Data) -> None:
    made = [export(data)[0] for _ in range(4)]
    with data.server.admin() as admin:
        assert "exports" in errors(admin.post(f"/collections/{data.project_id}/exports"))[0]
    for export_id in made:
        end(data, export_id)
    end(data, export(data)[0])


def test_a_collection_that_was_never_written_exports(data: Data) -> None:
    empty = open_collection(data.server, keys.new_project_id())
    export_id, archive = export(empty)
    end(empty, export_id)
    assert zipfile.ZipFile(io.BytesIO(archive)).namelist() == ["manifest.jsonl"]
