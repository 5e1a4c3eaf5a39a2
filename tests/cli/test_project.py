"""What of a developer's folder is sent, and as of when."""

import io
import json
import random
import re
import subprocess
import zipfile
from pathlib import Path

import pytest

from provider.cli.project import commit_date
from tests.cli.conftest import FlakyProvider, Freehold

SPACEFILE = "v: 0\nmicros:\n  - {name: page, src: ., engine: static, serve: .}\n"
BUILT = {"id": "opnabc", "kind": "build", "state": "succeeded", "error": "", "steps": []}
REVISION = {"id": "revabc", "state": "ready", "digest": "sha256:00", "size_bytes": 2**20}


def folder(root: Path) -> Path:
    root.mkdir(exist_ok=True)
    (root / "Spacefile").write_text(SPACEFILE)
    (root / "index.html").write_text("hello")
    return root


def commit(root: Path, date: str) -> None:
    who = ["-c", "user.name=ada", "-c", "user.email=ada@example.org"]
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    subprocess.run(["git", "-C", str(root), "add", "."], check=True)
    command = ["git", "-C", str(root), *who, "commit", "-qm", "one"]
    subprocess.run(command, check=True, env={"GIT_COMMITTER_DATE": date, "GIT_AUTHOR_DATE": date, "PATH": "/usr/bin"})


def accepting(provider: FlakyProvider) -> None:
    provider.on("POST projects/", (201, {"slug": "page-abc", "name": "page"}))
    provider.on("POST projects/page-abc/revisions/", (202, {"id": "revabc", "state": "queued", "operation": "opnabc"}))
    provider.on("GET projects/page-abc/revisions/revabc/logs/", (200, "data: building\n\nevent: end\ndata: \n\n"))
    provider.on("GET operations/opnabc/", (200, BUILT))
    provider.on("GET projects/page-abc/revisions/revabc/", (200, REVISION))


def uploaded(provider: FlakyProvider) -> tuple[dict[str, str], list[str]]:
    """The form's fields and the names in the zip of the last upload."""
    (asked,) = [asked for asked in provider.asked if asked.path.endswith("/page-abc/revisions/")][-1:]
    zipped = asked.body[asked.body.index(b"PK\x03\x04") :]
    names = zipfile.ZipFile(io.BytesIO(zipped)).namelist()
    fields = re.findall(rb'name="(\w+)"\r\n\r\n([^\r]*)', asked.body)
    return {name.decode(): value.decode() for name, value in fields}, names


def test_a_clean_checkout_is_as_old_as_its_commit(tmp_path: Path) -> None:
    root = folder(tmp_path / "app")
    commit(root, "2021-03-04T05:06:07+00:00")
    assert commit_date(root) == "2021-03-04T05:06:07+00:00"


def test_a_changed_checkout_and_a_plain_folder_have_no_date(tmp_path: Path) -> None:
    root = folder(tmp_path / "app")
    assert commit_date(root) is None
    commit(root, "2021-03-04T05:06:07+00:00")
    (root / "index.html").write_text("changed")
    assert commit_date(root) is None


def test_pushing_makes_a_project_once_and_leaves_out_what_is_ignored(
    provider: FlakyProvider, freehold: Freehold, tmp_path: Path
) -> None:
    root = folder(tmp_path / "app")
    (root / ".spaceignore").write_text("*.log\n")
    (root / "noise.log").write_text("x")
    commit(root, "2021-03-04T05:06:07+00:00")
    accepting(provider)
    assert freehold("push", "--dir", "app").returncode == 0
    fields, names = uploaded(provider)
    assert names == ["Spacefile", "index.html"]
    assert fields["as_of"] == "2021-03-04T05:06:07+00:00"
    assert json.loads((root / ".space" / "meta").read_text())["revision"] == "revabc"
    second = freehold("push", "--dir", "app", "--json")
    assert second.returncode == 0, second.stdout
    assert json.loads(second.stdout)["revision"] == REVISION
    assert len([asked for asked in provider.asked if asked.path == "/api/v1/projects/"]) == 1


def test_the_log_is_shown_as_it_comes_and_what_to_do_next(
    provider: FlakyProvider, freehold: Freehold, tmp_path: Path
) -> None:
    folder(tmp_path / "app")
    accepting(provider)
    shown = freehold("push", "--dir", "app").stdout
    assert "  building\n" in shown
    assert "freehold release" in shown
    assert "  building\n" not in freehold("push", "--dir", "app", "--skip-logs").stdout


def test_an_upload_that_was_cut_off_is_sent_whole_again(
    provider: FlakyProvider, freehold: Freehold, tmp_path: Path
) -> None:
    folder(tmp_path / "app")
    accepting(provider)
    last = (202, {"id": "revabc", "state": "queued", "operation": "opnabc"})
    provider.on("POST projects/page-abc/revisions/", None, last)
    assert freehold("push", "--dir", "app", "--json").returncode == 0
    bodies = [len(asked.body) for asked in provider.asked if asked.path.endswith("/page-abc/revisions/")]
    assert len(bodies) == 2
    assert bodies[0] == bodies[1]


def test_releasing_needs_a_push_first(freehold: Freehold, tmp_path: Path) -> None:
    folder(tmp_path / "app")
    done = freehold("release", "--dir", "app")
    assert done.returncode == 1
    assert "freehold push" in done.stderr


def test_a_folder_of_another_provider_is_not_sent_to_this_one(
    provider: FlakyProvider, freehold: Freehold, tmp_path: Path
) -> None:
    root = folder(tmp_path / "app")
    (root / ".space").mkdir()
    meta = {"id": "page-abc", "name": "page", "alias": "page-abc", "url": "https://elsewhere.example"}
    (root / ".space" / "meta").write_text(json.dumps(meta))
    done = freehold("push", "--dir", "app", "--json")
    assert json.loads(done.stdout)["error"]["code"] == "linked_elsewhere"
    assert provider.asked == []


def test_a_release_takes_along_what_the_catalog_shows(
    provider: FlakyProvider, freehold: Freehold, tmp_path: Path
) -> None:
    root = folder(tmp_path / "app")
    accepting(provider)
    assert freehold("push", "--dir", "app").returncode == 0
    (root / "Discovery.md").write_text("---\napp_name: Page\n---\nHello")
    provider.on("POST projects/page-abc/releases/", (201, {"id": "relabc", "version": "1.0.0"}))
    assert freehold("release", "--dir", "app", "--listed", "--notes", "new").returncode == 0
    sent = json.loads(provider.asked[-1].body)
    expected = {"revision": "revabc", "notes": "new", "channel": "stable", "listed": True}
    assert sent == expected | {"discovery": "---\napp_name: Page\n---\nHello"}


def test_on_a_terminal_a_bar_shows_how_far_the_upload_is(
    provider: FlakyProvider, freehold: Freehold, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = folder(tmp_path / "app")
    accepting(provider)
    last = (202, {"id": "revabc", "state": "queued", "operation": "opnabc"})
    provider.on("POST projects/page-abc/revisions/", None, last)
    (root / "noise.bin").write_bytes(random.Random(1).randbytes(300_000))
    monkeypatch.setenv("FORCE_COLOR", "1")
    done = freehold("push", "--dir", "app", "--skip-logs")
    assert done.returncode == 0, done.stderr
    assert "Sending" in done.stdout and "━" in done.stdout
    assert "noise.bin" in uploaded(provider)[1]
