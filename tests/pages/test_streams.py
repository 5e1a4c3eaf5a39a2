"""Server-sent events of pages and of programs, over a real Redis."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections
from django.test import AsyncClient
from django.utils import timezone

from apps_catalog.models import Release, Revision
from k8s.errors import NotFound
from k8s.specs import LogLine
from tenants.live import announce
from tenants.models import Instance, Operation
from tenants.services.tokens import issue_token
from tenants.views import live_logs, streams
from tests.pages.conftest import Person, install, operation_of, release_app

SOON_S = 30.0


@pytest.fixture(autouse=True)
def committed(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Rows that other threads see. The tables are emptied afterwards, which events refuse by themselves."""
    # Threads of the live process would keep their connections, and with them the test database.
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE tenants_event ENABLE TRIGGER event_append_only")
    yield
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE tenants_event DISABLE TRIGGER event_append_only")


class Reader:
    """Takes complete events out of a streaming answer."""

    def __init__(self, answer: Any) -> None:
        self._parts: AsyncIterator[bytes] = aiter(answer.streaming_content)

    async def next(self) -> tuple[str, str]:
        """The next event that is not a comment, as (name, data)."""
        while True:
            async with asyncio.timeout(SOON_S):
                text = (await anext(self._parts)).decode()
            if not text.startswith(":"):
                lines = text.strip().split("\n")
                return lines[0].removeprefix("event: "), "\n".join(line.removeprefix("data: ") for line in lines[1:])

    async def close(self) -> None:
        await self._parts.aclose()  # type: ignore[attr-defined]


def run(scene: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(scene())  # type: ignore[arg-type]


def _browser(person: Person) -> AsyncClient:
    browser = AsyncClient()
    browser.cookies = person.browser.cookies
    return browser


def _succeed(operation: Operation) -> None:
    operation.steps.update(state="succeeded", finished_at=timezone.now())
    Operation.objects.filter(pk=operation.pk).update(state="succeeded", finished_at=timezone.now())
    announce(operation.cloud_id, operation.pk)


def test_an_operation_is_told_as_it_is_then_as_it_moves_then_ends(ada: Person, notes: Release) -> None:
    operation = operation_of(ada, install(ada, notes, "mine", "installing"), "running")

    async def scene() -> None:
        reader = Reader(await _browser(ada).get(f"/operations/{operation.pk}/events/"))
        name, data = await reader.next()
        assert name == "operation" and json.loads(data)["state"] == "running"
        await streams.in_database(partial(_succeed, operation))
        name, data = await reader.next()
        assert json.loads(data)["state"] == "succeeded"
        assert [step["state"] for step in json.loads(data)["steps"]] == ["succeeded", "succeeded"]
        assert (await reader.next())[0] == "end"
        await reader.close()

    run(scene)


def test_pages_are_told_the_same_fragment_that_they_contain(ada: Person, notes: Release) -> None:
    mine = install(ada, notes, "mine", "failed", state_reason="<b>no port</b>")

    async def scene() -> None:
        reader = Reader(await _browser(ada).get(f"/instances/{mine.pk}/events/?as=html"))
        name, html = await reader.next()
        assert name == "instance" and "Retry" in html and "&lt;b&gt;no port&lt;/b&gt;" in html
        await reader.close()

    run(scene)


def test_a_change_is_told_although_redis_says_nothing(
    ada: Person, notes: Release, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    monkeypatch.setattr(streams, "listen", partial(streams.listen, every_s=0.1))
    mine = install(ada, notes, "mine")

    async def scene() -> None:
        reader = Reader(await _browser(ada).get(f"/instances/{mine.pk}/events/"))
        await reader.next()
        await streams.in_database(partial(Instance.objects.filter(pk=mine.pk).update, state="stopped"))
        seen = json.loads((await reader.next())[1])
        assert seen["state"] == "stopped"
        await reader.close()

    run(scene)


def test_the_home_page_hears_of_its_own_cloud_only(ada: Person, stranger: Person, notes: Release) -> None:
    install(ada, notes, "adas-notes")
    install(stranger, notes, "strangers-notes")

    async def scene() -> None:
        reader = Reader(await _browser(ada).get("/cloud/events/?as=home"))
        name, html = await reader.next()
        assert name == "home" and "adas-notes" in html and "strangers-notes" not in html
        await reader.close()

    run(scene)


def test_strangers_find_no_stream_and_nobody_is_sent_to_sign_in(ada: Person, stranger: Person, notes: Release) -> None:
    mine = install(ada, notes, "mine")
    operation = Operation.objects.filter(instance=mine).get()

    async def scene() -> None:
        for path in (
            f"/instances/{mine.pk}/events/",
            f"/operations/{operation.pk}/events/",
            f"/instances/{mine.pk}/logs/",
        ):
            assert (await _browser(stranger).get(path)).status_code == 404
            assert (await AsyncClient().get(path)).status_code == 302
            assert (await AsyncClient().get(f"/api/v1{path}")).status_code == 401
            assert (await _browser(ada).get(f"/api/v1{path}")).status_code == 401, "a cookie is no token"

    run(scene)


def test_a_program_follows_an_operation_by_token(ada: Person, stranger: Person, notes: Release) -> None:
    operation = Operation.objects.get(instance=install(ada, notes, "mine"))
    tokens = [
        issue_token(who.user, "t", scopes)[1] for who, scopes in ((ada, ["read"]), (stranger, ["*"]), (ada, ["tokens"]))
    ]

    async def scene() -> None:
        path = f"/api/v1/operations/{operation.pk}/events/"
        answers = [await AsyncClient().get(path, headers={"Authorization": f"Bearer {token}"}) for token in tokens]
        assert [answer.status_code for answer in answers] == [200, 404, 403]
        reader = Reader(answers[0])
        assert json.loads((await reader.next())[1])["id"] == operation.pk
        assert (await reader.next())[0] == "end"
        await reader.close()

    run(scene)


def test_a_person_may_hold_only_so_many_streams(
    ada: Person, stranger: Person, notes: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "seats", streams.Seats(1))

    async def scene() -> None:
        held = Reader(await _browser(ada).get("/cloud/events/?as=home"))
        await held.next()
        assert (await _browser(ada).get("/cloud/events/?as=home")).status_code == 429
        assert (await _browser(stranger).get("/cloud/events/?as=home")).status_code == 200
        await held.close()
        del held
        async with asyncio.timeout(SOON_S):
            while (await _browser(ada).get("/cloud/events/?as=home")).status_code != 200:
                await asyncio.sleep(0.05)

    run(scene)


def test_logs_of_the_local_driver_are_read_and_followed(
    ada: Person, notes: Release, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The files are those that the driver's own layout names; nothing has to run for them to be read."""
    from k8s.local.logfiles import LogWriter, follow, tail

    mine = install(ada, notes, "mine")
    file = tmp_path / "main.log"
    writer = LogWriter(file)
    writer.lines("out", ["first <b>", "second"])

    class Files:
        def logs(self, cloud_id: str, instance_id: str, **wanted: Any) -> Any:
            assert (cloud_id, instance_id) == (ada.cloud.pk, mine.pk)
            if not wanted["follow"]:
                return iter(tail(file, "main", wanted["tail"]))
            return follow({"main": file}, wanted["tail"], lambda: False, wanted["stop"])

    monkeypatch.setattr("tenants.reconcile.cluster.current", Files)

    async def scene() -> None:
        browser = _browser(ada)
        assert (await browser.get(f"/instances/{mine.pk}/logs/?tail=1")).content.decode() == "second\n"
        assert (await browser.get(f"/instances/{mine.pk}/logs/?tail=x")).status_code == 422
        assert (await browser.get(f"/instances/{mine.pk}/logs/?micro=other")).status_code == 404
        reader = Reader(await browser.get(f"/instances/{mine.pk}/logs/?follow=true&as=html"))
        assert "first &lt;b&gt;" in (await reader.next())[1]
        writer.lines("err", ["third"])
        while "third" not in (await reader.next())[1]:
            pass
        await reader.close()

    run(scene)


def test_who_follows_a_build_before_it_is_there_waits_for_it(ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """Right after an upload the cluster has not heard of the build."""
    release = release_app(ada.user, "own")
    Revision.objects.filter(pk=release.revision_id).update(state="queued")
    asked = []

    class Later:
        def build_status(self, *_: str) -> None:
            asked.append("status")
            if len(asked) < 3:
                raise NotFound("no such build")

        def build_logs(self, *_: str, **__: Any) -> Any:
            return iter([LogLine(at="", micro="build", stream="out", text="unpacking the source")])

    monkeypatch.setattr("tenants.reconcile.cluster.current", Later)

    async def scene() -> None:
        path = f"/projects/{release.app.slug}/revisions/{release.revision_id}/logs/?follow=true"
        reader = Reader(await _browser(ada).get(path))
        assert await reader.next() == ("log", "unpacking the source")
        assert (await reader.next())[0] == "end"
        await reader.close()

    run(scene)
    assert len(asked) == 3


def test_who_follows_a_build_that_is_gone_is_not_kept_waiting(ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    release = release_app(ada.user, "own")

    class Nothing:
        def build_status(self, *_: str, **__: Any) -> Any:
            raise NotFound("no such build")

        build_logs = build_status

    monkeypatch.setattr("tenants.reconcile.cluster.current", Nothing)

    async def scene() -> None:
        path = f"/projects/{release.app.slug}/revisions/{release.revision_id}/logs/?follow=true"
        reader = Reader(await _browser(ada).get(path))
        assert (await reader.next())[0] == "end"
        await reader.close()

    run(scene)


def test_a_log_line_has_no_way_to_forge_an_event() -> None:
    text = live_logs._plain(LogLine(at="", micro="main", stream="out", text="x\nevent: end\rdata: y"))
    assert [line for line in streams.event("log", text).split("\n") if line.startswith("event:")] == ["event: log"]
