"""What the provider's own interface says of the inside of a collection: what the owner's pages are made of."""

from collections.abc import Iterator

import httpx
import pytest

from tests.data_server.running import Data


@pytest.fixture
def inner(data: Data) -> Iterator[httpx.Client]:
    with data.server.admin() as admin:
        admin.base_url = f"http://admin/collections/{data.project_id}/"
        yield admin


def test_a_base_answers_the_provider_as_it_answers_an_app(data: Data, inner: httpx.Client) -> None:
    data.put({"key": "a/b", "n": 1}, {"key": "c", "n": 2})
    assert inner.get("bases/things/items/a%2Fb").json() == data.base("GET", "items/a%2Fb").json()
    assert inner.get("bases/things/items/a/b").json() == {"key": "a/b", "n": 1}
    body = {"query": {"n?gt": 1}}
    assert inner.post("bases/things/query", json=body).json() == data.base("POST", "query", body).json()
    refused = inner.post("bases/things/query", json={"query": {"n?near": 1}})
    assert refused.status_code == 400 and "near" in refused.text
    assert inner.post("bases/things/items", json={"item": {"key": "c"}}).status_code == 409
    assert inner.delete("bases/things/items/c").status_code == 200
    assert data.base("GET", "items/c").status_code == 404


def test_a_folder_is_listed_with_what_its_files_are_and_its_folders_once(data: Data, inner: httpx.Client) -> None:
    for name, content in (("a.txt", b"12"), ("b/1.png", b"1"), ("b/2/x", b""), ("c+d é.bin", b"123"), ("e/f", b"")):
        data.upload(name, content)
    found = inner.get("drives/docs/folder").json()
    assert [one["name"] for one in found["entries"]] == ["a.txt", "b/", "c+d é.bin", "e/"]
    assert found["last"] is None
    file, folder = found["entries"][0], found["entries"][1]
    assert (file["type"], file["bytes"]) == ("text/plain", 2) and file["stored"] > 1e9
    assert folder == {"name": "b/", "type": None, "bytes": None, "stored": None}
    inside = inner.get("drives/docs/folder", params={"prefix": "b/"}).json()
    assert [one["name"] for one in inside["entries"]] == ["b/1.png", "b/2/"]


def test_a_folder_comes_in_pages_without_gap_or_repetition(data: Data, inner: httpx.Client) -> None:
    for n in range(7):
        data.upload(f"d{n}/x", b"")
    seen, last = [], ""
    while last is not None:
        page = inner.get("drives/docs/folder", params={"limit": 3, "last": last}).json()
        seen += [one["name"] for one in page["entries"]]
        last = page["last"]
    assert seen == [f"d{n}/" for n in range(7)]
    for limit in ("0", "1001", "x", "-1", ""):
        assert inner.get("drives/docs/folder", params={"limit": limit}).status_code == 400


def test_a_file_gets_another_name_and_keeps_everything_else(data: Data, inner: httpx.Client) -> None:
    data.upload("a.txt", b"text", kind="text/markdown")
    answer = inner.post("drives/docs/rename", json={"from": "a.txt", "to": "new folder/ä.txt"})
    assert answer.json() == {"name": "new folder/ä.txt"}
    moved = data.drive("GET", "files/download", params={"name": "new folder/ä.txt"})
    assert (moved.content, moved.headers["content-type"]) == (b"text", "text/markdown")
    assert data.names()["names"] == ["new folder/ä.txt"]


def test_renaming_takes_nobodys_name_and_makes_none_that_escapes(data: Data, inner: httpx.Client) -> None:
    data.upload("a", b"a")
    data.upload("b", b"b")
    assert inner.post("drives/docs/rename", json={"from": "a", "to": "b"}).status_code == 409
    assert inner.post("drives/docs/rename", json={"from": "a", "to": "a"}).status_code == 200
    assert inner.post("drives/docs/rename", json={"from": "none", "to": "c"}).status_code == 404
    assert inner.post("drives/other/rename", json={"from": "a", "to": "c"}).status_code == 404
    for bad in ("../x", "", "x/", "a/../../b", 1, None):
        assert inner.post("drives/docs/rename", json={"from": "a", "to": bad}).status_code == 400
    assert data.drive("GET", "files/download", params={"name": "b"}).content == b"b"


def test_the_insides_want_the_providers_token_and_the_right_kind(data: Data, inner: httpx.Client) -> None:
    for path in ("bases/docs/files", "drives/things/query", "drives/things/items/a", "bases/docs/folder", "bases/x/y"):
        assert inner.get(path).status_code == 404
    assert inner.get("bases/%2e%2e/items/a").status_code == 400
    headers = {"Authorization": f"Bearer {data.key}"}
    for path in ("bases/things/items/a", "drives/docs/folder"):
        assert inner.get(path, headers=headers).status_code == 401
