"""Dependencies that were installed before are unpacked, and only where they would be the same."""

import json
import shutil
import time
from pathlib import Path

import pytest

from k8s.runtimes.builder import kept
from tests.runtimes.conftest import Build, Built

PACKAGE = json.dumps({"name": "x", "private": True, "dependencies": {"vite": "5.4.8"}})
NODE = {"name": "web", "engine": "nodejs20", "src": ".", "run": "node index.js"}
DATE = "2026-01-01"
PYTHON = {"name": "web", "engine": "python3.9", "src": "."}


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """One that nobody has filled."""
    return tmp_path / "cache"


@pytest.fixture
def build(build: Build, tmp_path: Path) -> Build:
    """From nothing each time, as uploads are."""

    def run(*words: object, **named: object) -> Built:
        for name in ("src", "out"):
            shutil.rmtree(tmp_path / name, ignore_errors=True)
        return build(*words, **named)

    return run


def test_the_second_build_unpacks_what_the_first_installed(build: Build) -> None:
    files = {"package.json": PACKAGE, "index.js": ""}
    began = time.monotonic()
    first = build(files, NODE, as_of=DATE)
    cold = time.monotonic() - began
    assert first.status == 0, first.log
    names = _names(first.out)
    began = time.monotonic()
    second = build(files, NODE, as_of=DATE)
    warm = time.monotonic() - began
    assert "taken from the cache" in second.log and "Installing" not in second.log
    assert _names(second.out) == names
    print(f"cold {cold:.1f} s, warm {warm:.1f} s")
    assert warm < cold / 2
    other = build({**files, "package.json": PACKAGE.replace("5.4.8", "5.4.7")}, NODE, as_of=DATE)
    assert "Installing dependencies" in other.log


def test_python_dependencies_of_a_date_are_kept_too(build: Build) -> None:
    files = {"main.py": "app = print", "requirements.txt": "idna\n"}
    assert "Installing" in build(files, PYTHON).log
    again = build(files, PYTHON)
    assert "taken from the cache" in again.log
    assert list((again.out / "web/deps").glob("idna-*.dist-info"))
    assert "Installing" in build(files, PYTHON, as_of="2022-01-01").log


def test_what_may_be_another_version_tomorrow_is_installed_each_time(build: Build) -> None:
    files = {"main.py": "app = print", "requirements.txt": "idna\n"}
    for _ in range(2):
        assert "Installing" in build(files, {**PYTHON, "engine": "python3.11"}).log


def test_a_damaged_cache_is_as_good_as_none(build: Build, tmp_path: Path) -> None:
    files = {"main.py": "app = print", "requirements.txt": "idna\n"}
    build(files, PYTHON)
    (archive,) = [path for path in tmp_path.rglob("*.tar") if path.parent.name == "kept"]
    archive.write_bytes(archive.read_bytes()[:2000])
    again = build(files, PYTHON)
    assert again.status == 0 and "Installing" in again.log
    assert list((again.out / "web/deps").glob("idna-*.dist-info"))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("requirements.txt", "-r more.txt\n"),
        ("requirements.txt", "idna\n./mine\n"),
        ("package.json", '{"dependencies": {"a": "file:../a"}}'),
        ("package.json", '{"workspaces": ["a"]}'),
        ("package.json", '{"dependencies": {"a": "git+https://e/a"}}'),
    ],
)
def test_what_reaches_outside_its_file_is_not_kept(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert kept.key_of(("uv",), [tmp_path / name]) is None


def _names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
