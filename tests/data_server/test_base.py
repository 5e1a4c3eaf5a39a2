"""Base over HTTP: every documented answer, its body, and what hostile requests get."""

import json
import socket
import time
from typing import Any

import pytest

from tenants.data_server import documents
from tests.data_server.running import Data


def errors(answer: Any, status: int = 400) -> list[str]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    found: list[str] = answer.json()["errors"]
    return found


def test_put_answers_207_with_generated_keys_in_order(data: Data) -> None:
    answer = data.put({"name": "one"}, {"key": "k", "name": "two"})
    assert answer.status_code == 207
    body = answer.json()
    assert list(body) == ["processed"]
    first, second = body["processed"]["items"]
    assert second == {"key": "k", "name": "two"}
    assert len(first["key"]) == 12
    assert set(first["key"]) <= set("abcdefghijklmnopqrstuvwxyz0123456789")
    assert data.base("GET", f"items/{first['key']}").json() == first


def test_items_with_nameless_attributes_fail_alone(data: Data) -> None:
    body = data.put({"key": "good"}, {"key": "bad", "deep": [{"": 1}]}).json()
    assert body == {"processed": {"items": [{"key": "good"}]}, "failed": {"items": [{"key": "bad", "deep": [{"": 1}]}]}}
    assert list(data.put({"": 1}).json()) == ["failed"]
    assert data.base("GET", "items/bad").status_code == 404


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ({"key": 7}, "items[1].key"),
        ({"key": ""}, "items[1].key"),
        ({"key": None}, "items[1].key"),
        ({"key": "good"}, "same key"),
        ({"key": "x", "__expires": "soon"}, "items[1].__expires"),
        ({"key": "x", "text": "a" * documents.ITEM_BYTES}, "items[1]"),
        ("no object", "items[1]"),
        ({"key": "x", "deep": json.loads("[" * 300 + "]" * 300)}, "nested"),
    ],
)
def test_a_batch_with_one_bad_item_stores_none(data: Data, bad: Any, named: str) -> None:
    assert named in errors(data.put({"key": "good"}, bad))[0]
    assert data.query().json() == {"paging": {"size": 0}, "items": []}


@pytest.mark.parametrize("count", [0, 26])
def test_a_batch_holds_1_to_25_items(data: Data, count: int) -> None:
    assert "items" in errors(data.put(*({"n": n} for n in range(count))))[0]
    assert len(data.put(*({"n": n} for n in range(25))).json()["processed"]["items"]) == 25


def test_an_item_of_400_kb_passes_and_one_byte_more_does_not(data: Data) -> None:
    room = documents.ITEM_BYTES - len('{"key":"k","t":""}')
    assert data.put({"key": "k", "t": "a" * room}).status_code == 207
    assert "400 KB" in errors(data.put({"key": "k", "t": "a" * (room + 1)}))[0]
    assert "400 KB" in errors(data.base("POST", "items", {"item": {"t": "ü" * room}}))[0]
    assert data.base("PATCH", "items/k", {"set": {"more": "a"}}).status_code == 400


@pytest.mark.parametrize(
    "body",
    [b"", b"{",
    b"[]", b'{"items": 7}', b'{"items": [{"n": NaN}]}', b'{"items": [{"n": 1e999}]}', b'{"items": [{"n": "\xff"}]}',
     b'{"items": [' + b"[" * 1000, b'{"items": [{"n": ' + b"9" * 5000 + b"}]}"],
)  # fmt: skip
def test_what_is_not_strict_json_is_refused(data: Data, body: bytes) -> None:
    assert errors(data.base("PUT", "items", content=body))


def test_a_body_of_millions_of_lists_is_refused_before_they_are_made(data: Data) -> None:
    before = data.server.memory_kib()
    body = b'{"items": [' + b"[]," * 5_000_000 + b"[]]}"
    assert "lists and objects" in errors(data.base("PUT", "items", content=body))[0]
    assert data.server.memory_kib() - before < 64 * 1024


def test_numbers_and_text_survive_as_they_are(data: Data) -> None:
    item = {"key": "k", "n": [0, -1, 1.0, 0.1, 1e-7, 9007199254740993, 10**30, -(2**63), 1.7976931348623157e308],
            "t": ["\x00", "\ud800", "𝒳",
            "\u2028", '"\\/', ""], "deep": json.loads("[" * 150 + "1" + "]" * 150), "": None}  # fmt: skip
    del item[""]
    assert data.base("PUT", "items", content=json.dumps({"items": [item]}).encode()).status_code == 207
    assert json.dumps(data.base("GET", "items/k").json()) == json.dumps(item)


def test_insert_takes_a_key_once(data: Data) -> None:
    answer = data.base("POST", "items", {"item": {"key": "k", "v": 1}})
    assert (answer.status_code, answer.json()) == (201, {"key": "k", "v": 1})
    assert errors(data.base("POST", "items", {"item": {"key": "k"}}), 409) == ["Key already exists"]
    assert data.base("GET", "items/k").json()["v"] == 1
    assert errors(data.base("POST", "items", {}))


def test_what_is_not_there_answers_as_documented(data: Data) -> None:
    answer = data.base("GET", "items/none")
    assert (answer.status_code, answer.json()) == (404, {"key": "none"})
    assert errors(data.base("PATCH", "items/none", {"set": {"a": 1}}), 404) == ["Key not found"]
    assert data.base("DELETE", "items/none").json() == {"key": "none"}
    assert data.query().json() == {"paging": {"size": 0}, "items": []}


@pytest.mark.parametrize(
    "change",
    [{}, {"set": {}, "delete": []}, {"set": {"key": 1}}, {"delete": ["key"]}, {"append": {"key": [1]}},
    {"set": {"a": 1}, "delete": ["a"]},
     {"set": {"m": 1}, "increment": {"m.n": 1}}, {"increment": {"text": 1}}, {"increment": {"none": 1}},
     {"increment": {"n": "1"}},
     {"increment": {"n": True}}, {"append": {"n": [1]}}, {"append": {"list": 1}}, {"prepend": {"none": [1]}},
     {"set": {"none.a": 1}},
     {"set": {"n.a": 1}}, {"set": {"a..b": 1}}, {"set": {"a": {"": 1}}}, {"delete": [1]}, {"set": []},
     {"increment": {"n": 1e308}},
     {"replace": {"a": 1}}, {"set": {"__expires": "soon"}}],
)  # fmt: skip
def test_a_wrong_update_changes_nothing(data: Data, change: Any) -> None:
    item = {"key": "k", "n": 1.7e308, "text": "t", "list": [1], "m": {"n": 1}}
    data.put(item)
    assert errors(data.base("PATCH", "items/k", change))
    assert data.base("GET", "items/k").json() == item


def test_several_operations_apply_at_once(data: Data) -> None:
    data.put({"key": "k", "n": 1, "l": [2], "m": {"x": 1, "y": [[0]]}, "gone": 1})
    change = {"set": {"m.z": {"a": 1}, "new": None}, "increment": {"n": -0.5, "m.x": 2}, "append": {"l": [3, [4]]},
              "prepend": {"m.y": [[1]]}, "delete": ["gone", "absent.too"]}  # fmt: skip
    answer = data.base("PATCH", "items/k", change)
    assert (answer.status_code, answer.json()) == (200, {"key": "k", **change})
    expected = {"key": "k", "n": 0.5, "l": [2, 3, [4]], "m": {"x": 3, "y": [[1], [0]], "z": {"a": 1}}, "new": None}
    assert data.base("GET", "items/k").json() == expected


def test_expired_items_are_hidden_at_once_and_their_keys_free(data: Data) -> None:
    past, soon = int(time.time()) - 1, time.time() + 0.3
    assert data.put({"key": "old", "__expires": past}).json()["processed"]["items"][0]["__expires"] == past
    data.put({"key": "soon", "__expires": soon}, {"key": "kept"})
    assert data.base("GET", "items/old").status_code == 404
    assert data.base("PATCH", "items/old", {"set": {"a": 1}}).status_code == 404
    assert data.base("POST", "items", {"item": {"key": "old"}}).status_code == 201
    while time.time() < soon:
        data.base("GET", "items/soon")
    assert [item["key"] for item in data.query().json()["items"]] == ["kept", "old"]


@pytest.mark.parametrize("nothing", [None, "", [], {}, [{}]])
def test_queries_that_ask_for_nothing_find_everything(data: Data, nothing: Any) -> None:
    data.put({"key": "a"}, {"key": "b"})
    for more in ({}, {"limit": None, "last": None, "sort": ""}, {"last": "", "sort": "asc"}):
        assert len(data.query(nothing, **more).json()["items"]) == 2


def test_paging_ends_without_last(data: Data) -> None:
    data.put(*({"key": key} for key in ("%", "1", "B", "a", "b")))
    seen, last, pages = [], None, 0
    while True:
        page = data.query([], limit=2, last=last).json()
        seen += [item["key"] for item in page["items"]]
        pages += 1
        assert page["paging"]["size"] == len(page["items"])
        if "last" not in page["paging"]:
            break
        last = page["paging"]["last"]
        assert last == seen[-1]
    assert (seen, pages) == (["%", "1", "B", "a", "b"], 3)
    assert "last" not in data.query([], limit=5).json()["paging"]
    assert [item["key"] for item in data.query([], sort="desc", last="a").json()["items"]] == ["B", "1", "%"]


def test_pages_of_great_items_end_early_and_go_on(data: Data) -> None:
    for n in range(20):
        data.put({"key": f"{n:02}", "t": "a" * 390_000})
    keys, last = [], None
    while True:
        page = data.query([], last=last).json()
        keys += [item["key"] for item in page["items"]]
        last = page["paging"].get("last")
        if last is None:
            break
        assert len(page["items"]) < 20
    assert keys == [f"{n:02}" for n in range(20)]


@pytest.mark.parametrize(
    ("query", "named"),
    [({"f?": 1}, "f?"), ({"f??": 1}, "?"), ({"?": 1}, "?"), ({"f?foo": 1}, "foo"), ({"f?pfx": 1}, "f?pfx"),
    ({"key?pfx": 1}, "key?pfx"),
     ({"f?r": 1}, "f?r"), ({"f?r": [1, 2, 3]}, "f?r"), ({"key": 1}, "key"), ({"key?gt": None}, "key?gt"),
     ({"key?r": ["a", 1]}, "key?r"),
     ({"key?contains": "a"}, "key?contains"), ({"key?ne": "a"}, "key?ne"), ({"key?gt": "a", "key?lt": "b"}, "key"),
     ([{"key": "a"}, {"n": 1}], "key"), ([{"key": "a"}, {"key?pfx": "a"}], "key"), ([7], "list of objects"), ("text",
     "list")],
)  # fmt: skip
def test_bad_queries_say_so_and_name_the_condition(data: Data, query: Any, named: str) -> None:
    first, second = errors(data.query(query))
    assert first == "Bad query"
    assert named in second


@pytest.mark.parametrize("more", [{"limit": 0}, {"limit": "3"}, {"limit": True}, {"last": 7}, {"sort": "up"}])
def test_wrong_paging_is_refused(data: Data, more: Any) -> None:
    assert next(iter(more)) in errors(data.query([], **more))[0]


@pytest.mark.parametrize("name", ["..", ".", "a%2Fb", "%00", "a%5Cb", "%FF", "x" * 300])
def test_names_of_bases_that_would_escape_are_refused(data: Data, name: str) -> None:
    assert ask_raw(data, "PUT", f"/v1/{data.project_id}/{name}/items", b'{"items":[{"key":"a"}]}') == 400


@pytest.mark.parametrize("key", ["..", "../..", "a//b", "/", "a/", "%2E%2E", "%252F"])
def test_keys_are_taken_from_the_path_as_they_are(data: Data, key: str) -> None:
    stored = key.replace("%2E", ".").replace("%25", "%")
    data.put({"key": stored, "v": 1})
    assert ask_raw(data, "GET", f"/v1/{data.project_id}/things/items/{key}") == 200
    assert ask_raw(data, "DELETE", f"/v1/{data.project_id}/things/items/{key}") == 200
    assert data.query().json()["items"] == []


def test_unknown_paths_and_methods_answer_in_json(data: Data) -> None:
    assert errors(data.base("GET", "nothing"), 404)
    assert errors(data.base("GET", "items"), 405)
    assert errors(data.base("PUT", "query"), 405)
    assert errors(data.base("POST", "items/a"), 405)
    assert errors(data.web.get("/"), 404)


def test_an_endless_body_is_cut_off(data: Data) -> None:
    head = head_of(data, "PUT", f"/v1/{data.project_id}/things/items", 99_999_999_999)
    with socket.create_connection(("127.0.0.1", data.server.port), timeout=20) as wire:
        wire.sendall(head)
        sent = 0
        try:
            while sent < 200 * 1024**2:
                sent += wire.send(b" " * 65536)
        except OSError:
            pass
        assert sent < 40 * 1024**2


def ask_raw(data: Data, method: str, path: str, body: bytes = b"") -> int:
    """A request whose path nobody tidies up; the status."""
    with socket.create_connection(("127.0.0.1", data.server.port), timeout=20) as wire:
        wire.sendall(head_of(data, method, path, len(body)) + body)
        return int(wire.makefile("rb").readline().split()[1])


def head_of(data: Data, method: str, path: str, length: int) -> bytes:
    fields = {"Host": "x", "X-API-Key": data.key, "Content-Length": length, "Connection": "close"}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode()
