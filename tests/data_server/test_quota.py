"""At the quota writes are refused in words that clients show; reading and deleting go on."""

import itertools
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.data_server.running import Data, Server, open_collection, running
from tests.data_server.test_base import errors

ROOM = 1_000_000


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("quota") / "server") as server:
        yield server


@pytest.fixture
def data(small: Server) -> Iterator[Data]:
    found = open_collection(small)
    set_limit(small, ROOM)
    yield found
    with small.admin() as admin:
        admin.delete(f"/collections/{found.project_id}")


def set_limit(server: Server, limit: int | None) -> None:
    with server.admin() as admin:
        assert admin.put("/quota", json={"limit_bytes": limit}).json()["limit_bytes"] == limit


def used(data: Data) -> int:
    with data.server.admin() as admin:
        return int(admin.get("/quota").json()["used_bytes"])


def fill(data: Data) -> None:
    for number in itertools.count():
        if data.put({"key": f"{number}", "t": "a" * 100_000}).status_code == 507:
            return
        assert number < 20


def test_a_full_cloud_refuses_writes_and_nothing_else(data: Data) -> None:
    fill(data)
    before = used(data)
    assert before <= ROOM
    assert "quota" in errors(data.put({"key": "new", "t": "a" * 200_000}), 507)[0]
    assert "quota" in errors(data.base("POST", "items", {"item": {"t": "a" * 200_000}}), 507)[0]
    assert "quota" in errors(data.base("PATCH", "items/0", {"set": {"more": "a" * 200_000}}), 507)[0]
    assert "quota" in errors(data.upload("f", b"a" * 200_000), 507)[0]
    assert used(data) == before
    assert data.base("GET", "items/0").status_code == 200
    assert len(data.query().json()["items"]) == 9
    assert data.put({"key": "0", "t": "smaller"}).status_code == 207
    assert data.base("DELETE", "items/1").status_code == 200
    assert data.put({"key": "new", "t": "a" * 100_000}).status_code == 207


def test_unfinished_uploads_count_and_finishing_needs_no_room(data: Data) -> None:
    upload = data.drive("POST", "uploads", params={"name": "f"}).json()["upload_id"]
    for number in (1, 2, 3):
        answer = data.drive(
            "POST", f"uploads/{upload}/parts", params={"name": "f", "part": number}, content=os.urandom(300_000)
        )
        assert answer.status_code == 200
    over = data.drive("POST", f"uploads/{upload}/parts", params={"name": "f", "part": 4}, content=b"a" * 200_000)
    assert "quota" in errors(over, 507)[0]
    assert used(data) == 900_000
    assert data.drive("PATCH", f"uploads/{upload}", params={"name": "f"}).status_code == 200
    assert used(data) == 900_000
    assert data.drive("DELETE", "files", json={"names": ["f"]}).status_code == 200
    assert used(data) == 0


def test_what_is_used_is_known_after_a_restart(data: Data) -> None:
    data.put({"key": "a", "t": "a" * 1000})
    data.upload("f", b"a" * 5000)
    data.drive("POST", "uploads", params={"name": "g"})
    before = used(data)
    data.server.stop()
    data.server.start()
    with data.server.admin() as admin:
        told = admin.get("/quota").json()
    assert (told["limit_bytes"], told["used_bytes"]) == (ROOM, before)
    assert told["disk_bytes"] > before  # of the volume, whatever the limit


@pytest.mark.parametrize("limit", [-1, "1", True, 1.5])
def test_wrong_limits_are_refused(data: Data, limit: object) -> None:
    with data.server.admin() as admin:
        answer = admin.put("/quota", json={"limit_bytes": limit})
        assert "limit_bytes" in errors(answer)[0]
        assert admin.get("/quota").json()["limit_bytes"] == ROOM


def test_many_writers_at_once_do_not_pass_the_limit(data: Data) -> None:
    def put(number: int) -> int:
        return data.web.put(
            f"/v1/{data.project_id}/things/items", json={"items": [{"key": f"{number}", "t": "a" * 90_000}]}
        ).status_code

    with ThreadPoolExecutor(8) as threads:
        statuses = list(threads.map(put, range(30)))
    assert used(data) <= ROOM
    assert statuses.count(207) == ROOM // 90_016
