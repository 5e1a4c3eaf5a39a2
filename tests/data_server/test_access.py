"""Who may enter a collection: keys given out, keys derived for instances, the gate's short tokens; and nobody else."""

import time
from typing import Any

import httpx
import pytest

from tenants.data_server import keys
from tests.data_server.running import GATE, INSTANCE, MASTER, Data, open_collection

DERIVED = {"instance": INSTANCE, "version": 1}


def ask(data: Data, key: str | None, header: str = "X-API-Key") -> int:
    path = f"{data.server.url}/v1/{data.project_id}/things/items/a"
    return httpx.get(path, headers={header: key.encode()} if key is not None else {}).status_code


def set_wanted(data: Data, **wanted: Any) -> None:
    with data.server.admin() as admin:
        answer = admin.put(
            f"/collections/{data.project_id}", json={"name": "Test", "keys": [], "instances": []} | wanted
        )
        assert answer.status_code == 200, answer.text


def test_without_the_right_key_nobody_gets_in(data: Data) -> None:
    other = open_collection(data.server, keys.new_project_id())
    for key in (None, "", data.key[:-1], data.key + "a", data.project_id, other.key, data.key.upper(), "ü"):
        assert ask(data, key) == 401
    answer = httpx.get(f"{data.server.url}/v1/{data.project_id}/things/items/a")
    assert answer.json() == {"errors": ["Unauthorized"]}
    assert ask(data, data.key) == 404
    assert ask(data, data.key, "Authorization") == 404
    assert ask(data, data.key, "X-Api-Key") == 404


def test_a_key_of_another_collection_opens_neither_base_nor_drive(data: Data) -> None:
    other = open_collection(data.server, keys.new_project_id())
    data.put({"key": "a"})
    for method, path in (
        ("GET", "things/items/a"),
        ("GET", "docs/files"),
        ("PUT", "things/items"),
        ("POST", "docs/files?name=a"),
    ):
        assert other.web.request(method, f"/v1/{data.project_id}/{path}").status_code == 401


def test_a_revoked_key_stops_at_once(data: Data) -> None:
    assert ask(data, data.key) == 404
    set_wanted(data, instances=[DERIVED])
    assert ask(data, data.key) == 401


def test_the_derived_key_of_the_version_that_counts_is_known_without_being_stored(data: Data) -> None:
    first, second = (keys.derived_key(MASTER, data.project_id, INSTANCE, version) for version in (1, 2))
    assert first.count("_") == 1
    assert (ask(data, first), ask(data, second)) == (404, 401)
    set_wanted(data, instances=[DERIVED | {"version": 2}])
    assert (ask(data, first), ask(data, second)) == (401, 404)
    stored = (data.server.folder / "server.db").read_bytes() + (data.server.folder / "server.db-wal").read_bytes()
    assert second.encode() not in stored
    assert keys.fingerprint(second).encode() not in stored
    assert data.key.encode() not in stored


def browse(
    data: Data, token: str | None, method: str = "GET", path: str = "base/v1/dummy/things/items/a", **more: Any
) -> int:
    headers = {"X-API-Key": "dummy"} | ({} if token is None else {"X-Freehold-Data-Token": token})
    return httpx.request(method, f"{data.server.url}/__space/v0/{path}", headers=headers, **more).status_code


def token_of(
    data: Data, method_class: str = keys.WRITE, *, instance: str = INSTANCE, life_s: int = 30, key: bytes = GATE
) -> str:
    return keys.gate_token(key, data.project_id, instance, method_class, int(time.time()) + life_s)


def test_browser_code_comes_by_the_gates_token_alone(data: Data) -> None:
    data.put({"key": "a"})
    assert browse(data, token_of(data)) == 200
    assert browse(data, token_of(data).upper().replace("V1", "v1")) == 401
    for token in (
        None,
        "",
        "x",
        data.key,
        token_of(data)[:-1],
        token_of(data, key=b"another" * 5),
        token_of(data, instance="ins-2"),
    ):
        assert browse(data, token) == 401
    assert ask(data, token_of(data), "X-Freehold-Data-Token") == 401
    assert (
        httpx.get(
            f"{data.server.url}/__space/v0/base/v1/dummy/things/items/a", headers={"X-API-Key": data.key}
        ).status_code
        == 401
    )


def test_a_token_lives_a_minute_at_most(data: Data) -> None:
    assert browse(data, token_of(data, life_s=-1)) == 401
    assert browse(data, token_of(data, life_s=3600)) == 401


def test_a_token_for_reading_writes_nothing(data: Data) -> None:
    data.put({"key": "a"})
    reading = token_of(data, keys.READ)
    assert browse(data, reading) == 200
    assert browse(data, reading, "POST", "base/v1/x/things/query", json={}) == 200
    assert browse(data, reading, "GET", "drive/v1/x/docs/files") == 200
    for method, path in (
        ("PUT", "things/items"),
        ("POST", "things/items"),
        ("PATCH", "things/items/a"),
        ("DELETE", "things/items/a"),
    ):
        assert browse(data, reading, method, f"base/v1/x/{path}", json={}) == 401
    assert browse(data, reading, "POST", "drive/v1/x/docs/files?name=a", content=b"a") == 401
    assert browse(data, token_of(data), "POST", "drive/v1/x/docs/files?name=a", content=b"a") == 201


def test_each_browser_address_leads_to_its_own_part(data: Data) -> None:
    assert browse(data, token_of(data), "GET", "base/v1/x/docs/files") == 404
    assert browse(data, token_of(data), "GET", "drive/v1/x/things/items/a") == 404


def test_pages_elsewhere_may_ask_with_a_key_but_not_by_the_browser_address(data: Data) -> None:
    answer = data.web.options(f"/v1/{data.project_id}/things/items/a")
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert (
        "access-control-allow-origin"
        not in httpx.options(f"{data.server.url}/__space/v0/base/v1/x/things/items/a").headers
    )


@pytest.mark.parametrize("sent", [None, "Bearer wrong", "wrong"])
def test_administration_needs_the_providers_token(data: Data, sent: str | None) -> None:
    with data.server.admin() as admin:
        admin.headers.pop("Authorization")
        headers = {} if sent is None else {"Authorization": sent}
        for method, path in (("GET", "/collections"), ("DELETE", f"/collections/{data.project_id}"), ("GET", "/quota")):
            assert admin.request(method, path, headers=headers).status_code == 401
    assert data.web.get("/collections").status_code == 404


@pytest.mark.parametrize(
    ("wanted", "field"),
    [({"name": ""}, "name"), ({"name": 1}, "name"), ({"name": "a", "keys": {}}, "keys"), ({"name": "a",
    "keys": [{"id": "k"}]}, "keys[0].name"),
     ({"name": "a", "keys": [{"id": "k", "name": "n", "sha256": "x"}]}, "keys[0].sha256"),
     ({"name": "a", "instances": [{"instance": "i", "version": 0}]}, "instances[0].version"),
     ({"name": "a", "instances": [{"instance": "../x", "version": 1}]}, "instances[0].instance")],
)  # fmt: skip
def test_what_is_wrong_with_a_collection_is_named(data: Data, wanted: Any, field: str) -> None:
    with data.server.admin() as admin:
        answer = admin.put("/collections/newone", json=wanted)
        assert answer.status_code == 400
        assert field in answer.json()["errors"][0]
        assert admin.get("/collections/newone").status_code == 404
        assert admin.put("/collections/..%2Fx", json={"name": "a"}).status_code == 400


def test_a_removed_collection_is_gone_and_its_bytes_are_free(data: Data) -> None:
    other = open_collection(data.server, keys.new_project_id())
    with data.server.admin() as admin:
        before = admin.get("/quota").json()["used_bytes"]
        other.upload("a", b"a" * 1000)
        assert admin.get("/quota").json()["used_bytes"] == before + 1000
        assert admin.delete(f"/collections/{other.project_id}").status_code == 200
        assert admin.delete(f"/collections/{other.project_id}").status_code == 200
        assert admin.get("/quota").json()["used_bytes"] == before
    assert not (data.server.folder / "collections" / other.project_id).exists()
    assert list((data.server.folder / "removed").iterdir()) == []
    assert other.drive("GET", "files").status_code == 401
