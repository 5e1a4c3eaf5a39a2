"""The example apps, through the publish path: packed, checked, parsed, built, started and used."""

import io
import json
import zipfile
from dataclasses import asdict
from pathlib import Path

import pytest

from apps_catalog import build as plans
from apps_catalog import bundles, discovery, packing, spacefile
from tests.runtimes.conftest import ROOT, Build, Built, Start

EXAMPLES = ROOT / "apps_catalog/examples"
PNG_HEAD = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x02\x00\x00\x00\x02\x00"


def publish(slug: str, build: Build) -> Built:
    archive = io.BytesIO()
    packing.pack(EXAMPLES / slug, archive)
    index = bundles.check(archive)
    parsed = spacefile.parse(index.spacefile, files=index.names)
    assert parsed.warnings == ()
    with zipfile.ZipFile(archive) as content:
        texts = {name: content.read(name).decode() for name in index.names if not name.endswith(".png")}
    built = build(texts, *(asdict(micro) for micro in plans.plan(parsed)))
    assert built.status == 0, built.log
    return built


@pytest.mark.parametrize("slug", ["notes", "links", "timer"])
def test_an_example_is_fit_for_the_catalog(slug: str) -> None:
    found = discovery.parse((EXAMPLES / slug / "Discovery.md").read_bytes())
    assert discovery.missing_for_listing(found) == ()
    icon = (EXAMPLES / slug / "icon.png").read_bytes()
    assert icon.startswith(PNG_HEAD)
    assert len(icon) < 30_000


def test_notes_keeps_notes_on_its_volume(build: Build, start: Start, runtime: Path, tmp_path: Path) -> None:
    built = publish("notes", build)
    env = {**built.env("notes", runtime), "NOTES_FOLDER": str(tmp_path / "volume")}
    server = start(built.argv("notes"), built.cwd("notes"), env)
    assert b"<title>Notes</title>" in server.ask("/").body
    me = server.ask("/api/me", X_Freehold_Email="ada@example.org")
    assert json.loads(me.body) == {"email": "ada@example.org"}
    added = json.loads(server.ask("/api/notes", "POST", b'{"text": "<b>milk</b>"}').body)
    server.ask(f"/api/notes/{added['id']}", "PUT", b'{"text": "bread"}')
    server.stop()
    again = start(built.argv("notes"), built.cwd("notes"), env)
    assert [note["text"] for note in json.loads(again.ask("/api/notes").body)["notes"]] == ["bread"]
    again.ask(f"/api/notes/{added['id']}", "DELETE")
    assert json.loads(again.ask("/api/notes").body)["notes"] == []
    assert again.ask(f"/api/notes/{added['id']}/restore", "POST", b"").status == 200


@pytest.mark.parametrize(
    ("method", "path", "data", "status"),
    [
        ("POST", "/api/notes", b"no", 400),
        ("POST", "/api/notes", b'{"text": 1}', 400),
        ("PUT", "/api/notes/99", b'{"text": ""}', 404),
        ("GET", "/static/../main.py", None, 404),
        ("GET", "/static/%2e%2e%2fmain.py", None, 404),
        ("POST", "/", b"", 405),
    ],
)
def test_notes_refuses_what_it_cannot_use(
    method: str, path: str, data: bytes | None, status: int, build: Build, start: Start, runtime: Path, tmp_path: Path
) -> None:
    env = {"PYTHONPATH": str(runtime), "NOTES_FOLDER": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    server = start(["/usr/bin/python3", "-m", "freehold_server", "main:app"], EXAMPLES / "notes", env)
    assert server.ask(path, method, data).status == status


def test_links_shares_only_what_is_marked_and_escapes_everything(
    build: Build, start: Start, runtime: Path, tmp_path: Path
) -> None:
    built = publish("links", build)
    env = {**built.env("links", runtime), "LINKS_FOLDER": str(tmp_path / "volume")}
    server = start(built.argv("links"), built.cwd("links"), env)
    added = server.ask("/links", "POST", b"url=example.org&title=%3Cscript%3Ealert(1)%3C/script%3E&note=why")
    assert (added.status, added.headers["Location"]) == (303, "/")
    page = server.ask("/", X_Freehold_Email="<i>@x").text
    assert "&lt;script&gt;alert(1)" in page
    assert "<script" not in page
    assert "&lt;i&gt;@x" in page
    assert "alert(1)" not in server.ask("/public/list").text
    link = page.split('action="/links/')[1].split("/")[0]
    server.ask(f"/links/{link}/share", "POST", b"")
    assert "alert(1)" in server.ask("/public/list").text
    assert server.ask("/links", "POST", b"url=javascript:alert(1)").status == 400
    assert server.stop() == 0
    again = start(built.argv("links"), built.cwd("links"), env)
    assert "alert(1)" in again.ask("/").text


def test_timer_is_a_folder_of_files(build: Build) -> None:
    built = publish("timer", build)
    assert (built.cwd("timer") / "index.html").is_file()
    assert built.micros["timer"]["kind"] == "static"
