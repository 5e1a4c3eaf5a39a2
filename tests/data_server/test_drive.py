"""Drive over HTTP: uploads in one and in parts, ranges, listings, deletion; names, sizes and what is refused."""

import hashlib
import os
import socket
import time
import urllib.parse
from pathlib import Path
from typing import Any

import httpx
import pytest

from tenants.data_server import drives
from tests.data_server.running import Data, Server, open_collection
from tests.data_server.test_base import errors, head_of

PART = drives.PART_BYTES


def download(data: Data, name: str, wanted: str | None = None, **headers: str) -> Any:
    sent = headers | ({"Range": wanted} if wanted else {})
    return data.drive("GET", "files/download", params={"name": name}, headers=sent)


def begin(data: Data, name: str, **headers: str) -> str:
    answer = data.drive("POST", "uploads", params={"name": name}, headers=headers)
    assert answer.status_code == 202
    body = answer.json()
    assert body == {"name": name, "upload_id": body["upload_id"], "project_id": data.project_id, "drive_name": "docs"}
    return str(body["upload_id"])


def part(data: Data, name: str, upload: str, number: Any, content: bytes, **headers: str) -> Any:
    return data.drive(
        "POST", f"uploads/{upload}/parts", params={"name": name, "part": number}, content=content, headers=headers
    )


def finish(data: Data, name: str, upload: str) -> Any:
    return data.drive("PATCH", f"uploads/{upload}", params={"name": name}, headers={"Content-Type": "application/json"})


def blobs(data: Data) -> list[Path]:
    return [
        path for path in (data.server.folder / "collections" / data.project_id / "blobs").rglob("*") if path.is_file()
    ]


@pytest.mark.parametrize(
    "name", ["a.txt", "/a", "a/b c/ü+&#?%.txt", "日本/𝒳", "a//b", "%2e%2e/x", "..a", "./a", "a\\b", " a"]
)
def test_a_file_comes_back_as_it_was(data: Data, name: str) -> None:
    content = os.urandom(1000)
    answer = data.upload(name, content)
    assert (answer.status_code, answer.json()) == (
        201,
        {"name": name, "project_id": data.project_id, "drive_name": "docs"},
    )
    answer = download(data, name)
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, content, "1000")
    assert answer.headers["accept-ranges"] == "bytes"
    assert data.names() == {"names": [name]}


@pytest.mark.parametrize("name", ["", "  ", "a/", "..", "../a", "a/../../b", "a/..", "..\\a", "a\x00b", "a" * 4097])
def test_names_that_are_none_or_would_escape_are_refused(data: Data, name: str) -> None:
    assert errors(data.upload(name, b"a"))
    assert errors(data.drive("POST", "uploads", params={"name": name}))
    assert errors(download(data, name))
    assert data.names() == {"names": []}
    assert blobs(data) == []


def test_content_types_are_kept_or_guessed(data: Data) -> None:
    for name, sent, expected in [
        ("a.png", None, "image/png"), ("a.png", "text/x-mine; q=1", "text/x-mine; q=1"),
        ("a", None, "application/octet-stream"),
        ("b.html", "binary/octet-stream", "text/html"), ("b", "binary/octet-stream", "application/octet-stream"),
    ]:  # fmt: skip
        data.upload(name, b"a", kind=sent)
        assert download(data, name).headers["content-type"] == expected
        upload = begin(data, name)
        part(data, name, upload, 1, b"a", **({"Content-Type": sent} if sent else {}))
        finish(data, name, upload)
        assert download(data, name).headers["content-type"] == expected
    upload = begin(data, "c.png", **{"Content-Type": "image/x-first"})
    part(data, "c.png", upload, 1, b"a", **{"Content-Type": "image/x-second"})
    finish(data, "c.png", upload)
    assert download(data, "c.png").headers["content-type"] == "image/x-first"


def test_parts_in_any_order_and_sent_again_make_one_file(data: Data) -> None:
    pieces = [os.urandom(size) for size in (PART, 5, 2_000_000, 0, 700_000, 900_000)]
    data.upload("f", b"old")
    upload = begin(data, "f")
    assert part(data, "f", upload, 2, b"wrong").json()["part"] == 2
    for number in (6, 2, 1, 4, 3, 5):
        answer = part(data, "f", upload, number, pieces[number - 1])
        assert answer.json() == {
            "name": "f",
            "upload_id": upload,
            "part": number,
            "project_id": data.project_id,
            "drive_name": "docs",
        }
    sent = data.drive("GET", f"uploads/{upload}", params={"name": "f"}).json()["parts"]
    assert sent == [{"part": n, "size": len(piece)} for n, piece in enumerate(pieces, 1)]
    assert download(data, "f").content == b"old"
    assert finish(data, "f", upload).json() == {
        "name": "f",
        "upload_id": upload,
        "project_id": data.project_id,
        "drive_name": "docs",
    }
    assert download(data, "f").content == b"".join(pieces)
    assert errors(finish(data, "f", upload), 404)


def test_thousands_of_tiny_parts_become_few_blobs(data: Data) -> None:
    upload = begin(data, "f")
    pieces = [os.urandom(4096) for _ in range(300)]
    for number, piece in enumerate(pieces, 1):
        assert part(data, "f", upload, number, piece).status_code == 200
    finish(data, "f", upload)
    assert download(data, "f").content == b"".join(pieces)
    deadline = time.monotonic() + 30
    while len(blobs(data)) > 1:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_an_upload_without_parts_is_an_empty_file(data: Data) -> None:
    upload = begin(data, "empty")
    assert finish(data, "empty", upload).status_code == 200
    answer = download(data, "empty")
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "0")


def test_uploads_belong_to_one_drive_and_name(data: Data) -> None:
    upload = begin(data, "f")
    other = open_collection(data.server, "othercollection")
    for asker, drive, name, id_ in (
        (data, "docs", "g", upload),
        (data, "other", "f", upload),
        (other, "docs", "f", upload),
        (data, "docs", "f", "x"),
    ):
        for method, path in (("PATCH", ""), ("DELETE", ""), ("GET", ""), ("POST", "/parts")):
            parameters = {"name": name, "part": 1}
            assert errors(asker.drive(method, f"uploads/{id_}{path}", drive, params=parameters), 404)
    assert finish(data, "f", upload).status_code == 200


def test_an_aborted_upload_leaves_nothing(data: Data) -> None:
    upload = begin(data, "f")
    part(data, "f", upload, 1, b"a" * 100)
    with data.server.admin() as admin:
        used = admin.get("/quota").json()["used_bytes"]
        assert data.drive("DELETE", f"uploads/{upload}", params={"name": "f"}).status_code == 200
        assert admin.get("/quota").json()["used_bytes"] == used - 100
    assert errors(part(data, "f", upload, 2, b"a"), 404)
    assert errors(download(data, "f"), 404)
    deadline = time.monotonic() + 30
    while blobs(data):
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("number", ["0", "-1", "a", "", "1.5", "99999999999"])
def test_numbers_of_parts_are_checked(data: Data, number: str) -> None:
    assert "part" in errors(part(data, "f", begin(data, "f"), number, b"a"))[0]


def test_a_gap_between_parts_is_refused_and_can_be_filled(data: Data) -> None:
    upload = begin(data, "f")
    for number in (1, 3):
        part(data, "f", upload, number, b"a")
    assert "part 2" in errors(finish(data, "f", upload))[0]
    part(data, "f", upload, 2, b"b")
    assert finish(data, "f", upload).status_code == 200
    assert download(data, "f").content == b"aba"


def test_ten_megabytes_pass_and_one_byte_more_does_not(data: Data) -> None:
    assert data.upload("f", b"a" * PART).status_code == 201
    upload = begin(data, "g")
    for answer in (data.upload("g", b"a" * (PART + 1)), part(data, "g", upload, 1, b"a" * (PART + 1))):
        assert answer.status_code == 413
        assert "413 - Request Entity Too Large" in answer.text
        assert answer.headers["content-type"].startswith("text/html")
    pieces = (b"a" * 65536 for _ in range(PART // 65536 + 1))
    assert data.drive("POST", "files", params={"name": "g"}, content=pieces).status_code == 413
    assert len(blobs(data)) == 1


@pytest.mark.parametrize(
    ("wanted", "begin_at", "end_at"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=5-", 5, 30),
        ("bytes=-5", 25, 30),
        ("bytes=9-11", 9, 12),
        ("bytes=0-999", 0, 30),
        ("bytes=-999", 0, 30),
    ],
)
def test_ranges_are_served(data: Data, wanted: str, begin_at: int, end_at: int) -> None:
    content = os.urandom(30)
    upload = begin(data, "f")
    for number in range(3):
        part(data, "f", upload, number + 1, content[number * 10 : number * 10 + 10])
    finish(data, "f", upload)
    answer = download(data, "f", wanted)
    assert (answer.status_code, answer.content) == (206, content[begin_at:end_at])
    assert answer.headers["content-range"] == f"bytes {begin_at}-{end_at - 1}/30"
    tag = answer.headers["etag"]
    assert download(data, "f", wanted, **{"If-Range": tag}).status_code == 206
    data.upload("f", content)
    assert download(data, "f", wanted, **{"If-Range": tag}).status_code == 200


@pytest.mark.parametrize(
    ("wanted", "status"),
    [("bytes=30-", 416), ("bytes=-0", 416), ("bytes=2-1", 200), ("lines=1-2", 200), ("bytes=0-1,3-4", 200)],
)
def test_other_ranges_are_refused_or_ignored(data: Data, wanted: str, status: int) -> None:
    data.upload("f", b"a" * 30)
    answer = download(data, "f", wanted)
    assert answer.status_code == status
    if status == 416:
        assert answer.headers["content-range"] == "bytes */30"
        assert errors(answer, 416)


def test_a_download_goes_on_while_the_file_is_replaced_and_deleted(data: Data) -> None:
    pieces = [os.urandom(2_000_000) for _ in range(8)]
    upload = begin(data, "f")
    for number, piece in enumerate(pieces, 1):
        part(data, "f", upload, number, piece)
    finish(data, "f", upload)
    path = f"/v1/{data.project_id}/docs/files/download"
    with data.web.stream("GET", path, params={"name": "f"}) as answer:
        content = answer.iter_bytes(100_000)
        found = [next(content)]
        other = open_collection_again(data)
        other("POST", "files", {"name": "f"}, b"new")
        other("DELETE", "files", {}, b'{"names":["f"]}')
        found += list(content)
    assert b"".join(found) == b"".join(pieces)
    assert errors(download(data, "f"), 404)


def open_collection_again(data: Data) -> Any:
    """Another connection: the first is busy."""

    def ask(method: str, path: str, parameters: dict[str, str], content: bytes) -> None:
        url = f"{data.server.url}/v1/{data.project_id}/docs/{path}"
        answer = httpx.request(method, url, params=parameters, content=content, headers={"X-API-Key": data.key})
        assert answer.status_code in (200, 201)

    return ask


def test_listing_goes_by_bytes_and_pages(data: Data) -> None:
    names = sorted(["a", "a-b", "a/b", "a/c", "B", "b", "ü", "𝒳", "\uffff", "z/1", "z/2"], key=str.encode)
    for name in names:
        data.upload(name, b"a")
    assert data.names() == {"names": names}
    assert data.names(limit=len(names)) == {"names": names}
    assert data.names(limit="", prefix="", last="", recursive="true") == {"names": names}
    page = data.names(limit=4)
    assert page == {"paging": {"size": 4, "last": names[3]}, "names": names[:4]}
    assert data.names(last=names[3])["names"] == names[4:]
    assert data.names(prefix="a")["names"] == [name for name in names if name.startswith("a")]
    assert data.names(prefix="nothing") == {"names": []}
    assert data.names("never-written") == {"names": []}


def test_folders_are_shown_once_when_asked_for(data: Data) -> None:
    for name in ("doc-a", "doc/a", "doc/b/c", "doc/b/d", "docs", "e/x", "/lead"):
        data.upload(name, b"a")
    assert data.names(recursive="false") == {"names": ["/", "doc-a", "doc/", "docs", "e/"]}
    assert data.names(recursive="false", prefix="doc") == {"names": ["doc-a", "doc/", "docs"]}
    assert data.names(recursive="false", prefix="doc/") == {"names": ["doc/a", "doc/b/"]}
    seen, last = [], ""
    while True:
        page = data.names(recursive="false", limit=1, last=last)
        seen += page["names"]
        if "paging" not in page:
            break
        last = page["paging"]["last"]
    assert seen == ["/", "doc-a", "doc/", "docs", "e/"]


def test_prefix_and_last_come_unescaped(data: Data) -> None:
    for name in ("a+b/1", "c d/1"):
        data.upload(name, b"a")
    for query, found in (
        ("prefix=a+b", ["a+b/1"]),
        ("prefix=c+d", ["c d/1"]),
        ("prefix=c%20d", ["c d/1"]),
        ("last=a+b/1", ["c d/1"]),
    ):
        assert data.drive("GET", f"files?{query}").json() == {"names": found}


@pytest.mark.parametrize("limit", ["0", "-1", "x", "1.5"])
def test_wrong_limits_are_refused(data: Data, limit: str) -> None:
    assert "limit" in errors(data.drive("GET", "files", params={"limit": limit}))[0]


def test_deleting_reports_what_it_did(data: Data) -> None:
    for name in ("a", "b/c"):
        data.upload(name, b"a")

    def delete(names: Any) -> Any:
        return data.drive("DELETE", "files", json={"names": names})

    assert delete(["a", "never", " ", "b/"]).json() == {
        "deleted": ["a", "never"],
        "failed": {" ": "invalid name", "b/": "invalid name"},
    }
    assert data.names() == {"names": ["b/c"]}
    for wrong in ([], [""], [" ", ""], ["a"] * 1001, "a", [7], None):
        assert errors(delete(wrong))
    assert data.names() == {"names": ["b/c"]}


def test_names_decode_plus_as_space(data: Data) -> None:
    data.upload("a b+c", b"a")
    for spelling in ("a+b%2Bc", "a%20b%2Bc"):
        assert data.drive("GET", f"files/download?name={spelling}").status_code == 200


def test_an_upload_that_breaks_off_leaves_the_old_file(data: Data) -> None:
    data.upload("f", b"old")
    path = f"/v1/{data.project_id}/docs/files?name=f"
    with socket.create_connection(("127.0.0.1", data.server.port), timeout=20) as wire:
        wire.sendall(head_of(data, "POST", path, 5_000_000) + b"new" * 500_000)
    assert download(data, "f").content == b"old"
    deadline = time.monotonic() + 30
    while len(blobs(data)) > 1:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_gigabyte_is_uploaded_and_downloaded_without_being_held(server: Server, data: Data) -> None:
    piece = os.urandom(PART)
    count = 100
    upload = begin(data, "big")
    part(data, "big", upload, 1, piece)
    before = server.memory_kib()
    for number in range(2, count + 1):
        assert part(data, "big", upload, number, piece).status_code == 200
    assert finish(data, "big", upload).status_code == 200
    digest = hashlib.sha256()
    with data.web.stream("GET", f"/v1/{data.project_id}/docs/files/download", params={"name": "big"}) as answer:
        for some in answer.iter_raw(1024 * 1024):
            digest.update(some)
    assert digest.digest() == hashlib.sha256(piece * count).digest()
    assert server.memory_kib() - before <= 20 * 1024


def test_a_name_in_the_path_is_not_needed_twice(data: Data) -> None:
    assert "name" in errors(data.drive("GET", "files/download"))[0]
    assert errors(data.drive("GET", "files/other"), 404)
    assert errors(data.drive("PUT", "files", params={"name": urllib.parse.quote("a")}), 405)
