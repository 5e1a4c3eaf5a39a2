"""`freehold export` and `freehold import`, against a provider that answers as each test says."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import FlakyProvider, Freehold
from tests.cli.test_command_line import DONE

DIARY = {"id": "colabc", "name": "diary", "project_id": "abc123", "instance": None, "size_bytes": 1}
ZIP = "PK, as far as this test goes"
READY = {
    "id": "exp1",
    "operation": "opnabc",
    "size_bytes": len(ZIP),
    "sha256": hashlib.sha256(ZIP.encode()).hexdigest(),
    "download": "/api/v1/collections/colabc/exports/exp1/download/",
}
PREVIEW = {
    "items": 2,
    "files": 0,
    "bytes": 9,
    "conflicts": 1,
    "bases": [{"name": "letters", "items": 2, "bytes": 9, "conflicts": 1}],
    "drives": [],
    "ignored": ["README.md"],
    "problems": [],
}
SEEN = {"id": "imp1", "operation": None, "preview": PREVIEW, "report": None}
ARCHIVE = b"PK zip as long as that"
BEGUN = {"id": "imp1", "size_bytes": len(ARCHIVE), "part_bytes": 10, "parts": []}
REPORT = {"items": 1, "files": 0, "skipped": 1, "replaced": 0}


@pytest.fixture
def known(provider: FlakyProvider) -> FlakyProvider:
    provider.on("GET collections/", (200, {"results": [DIARY], "next": None}))
    provider.on("GET instances/", (200, {"results": [], "next": None}))
    provider.on("GET operations/opnabc/", (200, DONE))
    provider.on("POST collections/colabc/exports/", (202, {**READY, "download": None}))
    provider.on("GET collections/colabc/exports/exp1/", (200, READY))
    provider.on("GET collections/colabc/exports/exp1/download/", (200, ZIP))
    provider.on("POST collections/colabc/uploads/", (201, BEGUN))
    for number in (1, 2, 3):
        provider.on(f"PUT collections/colabc/uploads/imp1/parts/{number}/", (204, ""))
    provider.on("POST collections/colabc/uploads/imp1/finish/", (202, {**SEEN, "operation": "opnabc"}))
    provider.on("POST collections/colabc/imports/imp1/apply/", (202, {**SEEN, "operation": "opnabc"}))
    provider.on("GET collections/colabc/imports/imp1/", (200, {**SEEN, "report": REPORT}))
    return provider


def body(provider: FlakyProvider, path: str) -> Any:
    return next(asked.body for asked in provider.asked if asked.method == "POST" and asked.path.endswith(path))


def test_an_export_is_checked_and_written(known: FlakyProvider, freehold: Freehold, tmp_path: Path) -> None:
    done = freehold("export", "diary", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["export"]["sha256"] == READY["sha256"]
    assert (tmp_path / "diary.zip").read_text() == ZIP
    again = freehold("export", "diary", "--json")
    assert again.returncode == 2 and json.loads(again.stdout)["error"]["field"] == "output"
    assert freehold("export", "abc123", "--force").returncode == 0


def test_a_download_that_broke_off_is_taken_up_again(known: FlakyProvider, freehold: Freehold, tmp_path: Path) -> None:
    known.on("GET collections/colabc/exports/exp1/download/", None, (200, ZIP))
    assert freehold("export", "diary", "-o", "x.zip").returncode == 0
    assert (tmp_path / "x.zip").read_text() == ZIP


def test_a_wrong_checksum_leaves_no_file(known: FlakyProvider, freehold: Freehold, tmp_path: Path) -> None:
    known.on("GET collections/colabc/exports/exp1/", (200, {**READY, "sha256": "0" * 64}))
    done = freehold("export", "diary", "--json")
    assert done.returncode == 1 and json.loads(done.stdout)["error"]["code"] == "checksum"
    assert not list(tmp_path.glob("*.zip*"))


def parts(provider: FlakyProvider) -> list[tuple[str, bytes]]:
    """Number and content of each that was sent, after looking at its checksum."""
    sent = [asked for asked in provider.asked if asked.method == "PUT"]
    assert all(asked.path.endswith(f"?sha256={hashlib.sha256(asked.body).hexdigest()}") for asked in sent)
    return [(asked.path.split("/")[-2], asked.body) for asked in sent]


def test_an_import_shows_what_is_there_and_imports_it(known: FlakyProvider, freehold: Freehold, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(ARCHIVE)
    done = freehold("import", "diary", "a.zip", "--conflicts", "skip")
    assert done.returncode == 0, done.stderr
    assert "base letters: 2 items, 1 there already" in done.stdout and "1 skipped" in done.stdout
    assert json.loads(body(known, "uploads/")) == {
        "size_bytes": len(ARCHIVE),
        "fingerprint": hashlib.sha256(ARCHIVE).hexdigest(),
    }
    assert parts(known) == [("1", ARCHIVE[:10]), ("2", ARCHIVE[10:20]), ("3", ARCHIVE[20:])]
    assert json.loads(body(known, "apply/")) == {"conflicts": "skip"}


def test_what_came_already_is_not_sent_again_and_a_lost_answer_is_asked_for_again(
    known: FlakyProvider, freehold: Freehold, tmp_path: Path
) -> None:
    (tmp_path / "a.zip").write_bytes(ARCHIVE)
    known.on("POST collections/colabc/uploads/", (201, {**BEGUN, "parts": [2]}))
    known.on("PUT collections/colabc/uploads/imp1/parts/3/", None, (204, ""))
    assert freehold("import", "diary", "a.zip", "--dry-run").returncode == 0
    assert [number for number, _ in parts(known)] == ["1", "3", "3"]


def test_a_look_imports_nothing(known: FlakyProvider, freehold: Freehold, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(ARCHIVE)
    done = freehold("import", "diary", "a.zip", "--dry-run", "--json")
    assert json.loads(done.stdout)["import"]["preview"]["conflicts"] == 1
    assert not any("apply" in asked.path for asked in known.asked)


@pytest.mark.parametrize(
    ("words", "code", "field"),
    [
        (("import", "diary", "none.zip"), 1, "archive"),
        (("import", "diary", "none.zip", "--conflicts", "x"), 2, "conflicts"),
        (("export", "nothing"), 1, None),
    ],
)
def test_wrong_calls_say_what_is_wrong(
    known: FlakyProvider, freehold: Freehold, words: tuple[str, ...], code: int, field: str | None
) -> None:
    done = freehold(*words, "--json")
    assert (done.returncode, json.loads(done.stdout)["error"].get("field")) == (code, field)
