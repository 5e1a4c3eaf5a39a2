"""`/collections/<id>/drives/<name>/`: folders, content, uploads, names, over a real data server."""

import html
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from asgiref.sync import async_to_sync
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.test import AsyncClient, Client

from tenants.models import Collection, DataServer
from tests.pages.conftest import Person
from tests.pages.data_servers import data_server, inner

HOSTILE = b"<script>fetch('/settings/')</script>"


@pytest.fixture
def diary(ada: Person) -> Collection:
    return Collection.objects.create(cloud=ada.cloud, name="diary")


@pytest.fixture
def store(ada: Person, diary: Collection, tmp_path: Path) -> Iterator[httpx.Client]:
    with data_server(ada, tmp_path / "data") as server, inner(server, diary) as client:
        put(client, "readme.txt", b"hello", "text/plain")
        yield client


@pytest.fixture
def at(diary: Collection) -> str:
    return f"/collections/{diary.pk}/drives/docs/"


def put(store: httpx.Client, name: str, content: bytes, kind: str = "") -> None:
    headers = {"Content-Type": kind} if kind else {}
    answer = store.post("drives/docs/files", params={"name": name}, content=content, headers=headers)
    assert answer.status_code == 201


def stored(store: httpx.Client, name: str) -> bytes | None:
    answer = store.get("drives/docs/files/download", params={"name": name})
    return answer.content if answer.status_code == 200 else None


def names(page: str) -> list[str]:
    return [html.unescape(name) for name in re.findall(r'class="name"><a href="[^"]*">([^<]*)</a>', page)]


def fetch(person: Person, path: str, **headers: str) -> tuple[HttpResponseBase, bytes]:
    """The answer and all of its content, as a server would have taken it: in one event loop."""
    browser = AsyncClient()
    browser.cookies = person.browser.cookies

    async def scene() -> tuple[HttpResponseBase, bytes]:
        answer = await browser.get(path, headers=headers)
        return answer, b"".join([piece async for piece in answer.streaming_content])

    return async_to_sync(scene)()


def begin(browser: Client, at: str, name: str, kind: str = "") -> str:
    answer = browser.post(f"{at}uploads/?name={quote(name)}&type={kind}")
    assert answer.status_code == 201, answer.content
    return f"{at}uploads/{answer.json()['upload']}/?name={quote(name)}"


def send(browser: Client, path: str, body: bytes = b"") -> HttpResponse:
    return browser.post(path, body, content_type="application/octet-stream")  # type: ignore[return-value]


def test_folders_are_walked_by_what_names_begin_with(ada: Person, store: httpx.Client, at: str) -> None:
    for name in ("a/b/1.png", "a/b/2.png", "a/ü?&.txt", "z <b>.bin"):
        put(store, name, b"12345")
    root = ada.browser.get(at).content.decode()
    assert names(root) == ["a/", "readme.txt", "z <b>.bin"]
    assert "5 files in the drive" in root
    folder = re.search(r'href="([^"]*prefix=[^"]*)">a/<', root)
    assert folder
    assert names(ada.browser.get(html.unescape(folder[1])).content.decode()) == ["b/", "ü?&.txt"]
    assert names(ada.browser.get(at, {"prefix": "a/b"}).content.decode()) == ["1.png", "2.png"]


def test_a_long_folder_comes_in_pages(ada: Person, store: httpx.Client, at: str) -> None:
    for n in range(130):
        put(store, f"f/{n:03}", b"")
    seen, path = [], f"{at}?prefix=f/"
    while path:
        shown = ada.browser.get(path).content.decode()
        seen += names(shown)
        following = re.search(r'href="(\?[^"]*last=[^"]*)"', shown)
        path = at + html.unescape(following[1]) if following else ""
    assert seen == [f"{n:03}" for n in range(130)]


@pytest.mark.parametrize(
    ("kind", "shown", "saved"),
    [
        ("text/html", "text/plain; charset=utf-8", False),
        ("TEXT/HTML; charset=utf-7", "text/plain; charset=utf-8", False),
        ("application/xhtml+xml", "application/octet-stream", True),
        ("application/javascript", "text/plain; charset=utf-8", False),
        ("image/svg+xml", "image/svg+xml", False),
        ("image/png", "image/png", False),
        ("video/mp4", "video/mp4", False),
        ("application/pdf", "application/pdf", False),
        ("application/x-shockwave-flash", "application/octet-stream", True),
        ("multipart/x-mixed-replace", "application/octet-stream", True),
        ("nonsense", "application/octet-stream", True),
    ],
)
def test_what_an_app_wrote_is_never_run_on_our_address(
    ada: Person, store: httpx.Client, at: str, kind: str, shown: str, saved: bool
) -> None:
    put(store, "page.x", HOSTILE, kind)
    answer, content = fetch(ada, f"{at}content/?name=page.x")
    assert (answer.status_code, answer["Content-Type"], content) == (200, shown, HOSTILE)
    policy = answer["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script-src" not in policy
    assert ("sandbox" in policy.split("; ")) == (kind != "application/pdf")
    assert answer["X-Content-Type-Options"] == "nosniff" and answer["Cross-Origin-Resource-Policy"] == "same-origin"
    assert answer.get("Content-Disposition", "").startswith("attachment") == saved
    assert HOSTILE not in ada.browser.get(f"{at}file/", {"name": "page.x"}).content


def test_content_comes_in_ranges_and_is_saved_when_asked(ada: Person, store: httpx.Client, at: str) -> None:
    put(store, "a/film ü.mp4", bytes(range(200)), "video/mp4")
    path = f"{at}content/?name=a/film%20%C3%BC.mp4"
    part, content = fetch(ada, path, Range="bytes=10-19")
    assert (part.status_code, content) == (206, bytes(range(10, 20)))
    assert part["Content-Range"] == "bytes 10-19/200" and part["Content-Length"] == "10"
    head = ada.browser.head(path)
    assert (head.status_code, head["Content-Length"], head["Accept-Ranges"]) == (200, "200", "bytes")
    assert fetch(ada, path, Range="bytes=300-")[0].status_code == 416
    saved, content = fetch(ada, f"{path}&save=1")
    assert content == bytes(range(200))
    assert saved["Content-Disposition"] == "attachment; filename*=utf-8''film%20%C3%BC.mp4"


@pytest.mark.parametrize(
    ("kind", "mark"),
    [("image/png", "<img "), ("audio/ogg", "<audio "), ("video/mp4", "<video "), ("application/pdf", "<iframe ")],
)
def test_a_file_is_shown_as_what_it_is(ada: Person, store: httpx.Client, at: str, kind: str, mark: str) -> None:
    put(store, "x", b"1", kind)
    assert mark in ada.browser.get(f"{at}file/", {"name": "x"}).content.decode()


def test_of_a_text_the_beginning_is_shown_as_text(ada: Person, store: httpx.Client, at: str) -> None:
    put(store, "long.html", HOSTILE + b"\xff\0" + b"x" * 100_000 + b"END", "text/html")
    shown = ada.browser.get(f"{at}file/", {"name": "long.html"}).content.decode()
    assert html.escape(HOSTILE.decode()) in shown and "END" not in shown and "Only the beginning" in shown
    put(store, "empty.txt", b"", "text/plain")
    assert "<pre></pre>" in ada.browser.get(f"{at}file/", {"name": "empty.txt"}).content.decode()


def test_an_upload_in_parts_is_there_whole_at_its_end(ada: Person, store: httpx.Client, at: str) -> None:
    put(store, "a/big ü.bin", b"before")
    path = begin(ada.browser, at, "a/big ü.bin", "image/png")
    parts = [bytes([n]) * 3_000_000 for n in range(3)]
    for number, part in enumerate((*parts, parts[2]), 1):
        assert send(ada.browser, f"{path}&part={min(number, 3)}", part).status_code == 200
    assert stored(store, "a/big ü.bin") == b"before"
    assert send(ada.browser, path).status_code == 200
    assert stored(store, "a/big ü.bin") == b"".join(parts)
    assert "image/png" in ada.browser.get(f"{at}file/", {"name": "a/big ü.bin"}).content.decode()


def test_uploads_that_cannot_be_say_why(ada: Person, store: httpx.Client, at: str) -> None:
    path = begin(ada.browser, at, "x")
    assert send(ada.browser, f"{path}&part=1", b"x" * (10 * 1024 * 1024 + 1)).json() == {
        "message": "A part may hold 10 MB."
    }
    assert send(ada.browser, f"{path}&part=no", b"x").status_code == 422
    assert send(ada.browser, f"{path}&part=2", b"x").status_code == 200
    assert "part 1 is missing" in send(ada.browser, path).json()["message"]
    assert ada.browser.post(f"{at}uploads/?name=../x").json() == {"message": "invalid name"}
    assert send(ada.browser, f"{at}uploads/none/?name=x&part=1", b"x").status_code == 404
    root = str(store.base_url).split("/collections/")[0]
    store.put(f"{root}/quota", json={"limit_bytes": 20}).raise_for_status()
    full = send(ada.browser, f"{path}&part=1", b"x" * 100)
    assert full.status_code == 422 and "quota" in full.json()["message"]


def test_a_file_is_renamed_and_deleted(ada: Person, store: httpx.Client, at: str) -> None:
    put(store, "taken", b"t")
    answer = ada.browser.post(f"{at}rename/", {"name": "readme.txt", "to": "old/read me?.txt"})
    assert ada.browser.get(answer["Location"]).status_code == 200
    assert stored(store, "readme.txt") is None and stored(store, "old/read me?.txt") == b"hello"
    for to, why in (("taken", "already"), ("../x", "invalid name"), ("", "invalid name")):
        refused = ada.browser.post(f"{at}rename/", {"name": "old/read me?.txt", "to": to})
        assert refused.status_code == 422 and why in refused.content.decode()
    assert ada.browser.post(f"{at}delete/", {"name": "old/read me?.txt"})["Location"] == f"{at}?prefix=old%2F"
    assert ada.browser.post(f"{at}delete/", {"name": "old/read me?.txt"}).status_code == 302
    assert stored(store, "old/read me?.txt") is None and stored(store, "taken") == b"t"


def test_what_is_not_there_is_404_and_made_by_nobody(ada: Person, store: httpx.Client, at: str) -> None:
    other = at.replace("docs", "others")
    for path in (other, f"{other}file/?name=a", f"{at}file/?name=a", f"{at}file/?name=re", f"{at}content/?name=a"):
        assert ada.browser.get(path).status_code == 404, path
    assert ada.browser.post(f"{other}uploads/?name=a").status_code == 404
    assert ada.browser.post(f"{at}rename/", {"name": "a", "to": "b"}).status_code == 404
    assert [one["name"] for one in store.get(str(store.base_url).rstrip("/")).json()["drives"]] == ["docs"]


def test_strangers_learn_nothing_and_change_nothing(
    ada: Person, stranger: Person, store: httpx.Client, at: str
) -> None:
    path = begin(ada.browser, at, "new")
    for asked in (at, f"{at}file/?name=readme.txt", f"{at}content/?name=readme.txt"):
        assert stranger.browser.get(asked).status_code == 404
        assert Client().get(asked).status_code == 302
    for asked in (f"{at}rename/", f"{at}delete/", f"{at}uploads/?name=x", f"{path}&part=1", path):
        assert stranger.browser.post(asked, {"name": "readme.txt", "to": "x"}).status_code == 404
    assert stored(store, "readme.txt") == b"hello" and stored(store, "new") is None


def test_an_upload_wants_the_forms_token(ada: Person, store: httpx.Client, at: str) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(ada.user)
    assert browser.post(f"{at}uploads/?name=x").status_code == 403
    page = browser.get(at).content.decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert token
    assert browser.post(f"{at}uploads/?name=x", headers={"X-CSRFToken": token[1]}).status_code == 201


def test_while_the_data_server_is_away_pages_and_content_say_so(ada: Person, store: httpx.Client, at: str) -> None:
    DataServer.objects.update(upstream="127.0.0.1:1")
    for path in (at, f"{at}file/?name=readme.txt", f"{at}content/?name=readme.txt"):
        assert ada.browser.get(path).status_code == 503
