"""The static server as the gate uses it: one header names the folder, nothing leads out of it."""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.runtimes.conftest import ROOT, Answer, Server, Start, free_port, keep_as_artifact

BIG = bytes(range(256)) * 4096  # 1 MiB
PSS_LIMIT_KB = 35 * 1024


@dataclass
class Site:
    server: Server
    digest: str

    def ask(self, path: str, method: str = "GET", folder: str = "web/app", **headers: str) -> Answer:
        return self.server.ask(path, method, X_Freehold_Static=f"{self.digest}/{folder}", **headers)


@pytest.fixture
def site(tmp_path: Path, start: Start) -> Site:
    artifact = tmp_path / "artifact"
    for name, content in {
        "web/app/index.html": b"<h1>home</h1>",
        "web/app/docs/index.html": b"docs",
        "web/app/app.js": b"1",
        "web/app/a b/ü.txt": b"umlaut",
        "web/app/big.bin": BIG,
        "web/app/empty.css": b"",
        "web/secret.txt": b"secret",
        "other/app/404.html": b"lost",
        "other/app/index.html": b"other",
    }.items():
        (artifact / name).parent.mkdir(parents=True, exist_ok=True)
        (artifact / name).write_bytes(content)
    (artifact / "web/app/out").symlink_to("../secret.txt")
    (artifact / "web/app/alias.js").symlink_to("app.js")
    digest = keep_as_artifact(artifact, tmp_path / "store", tmp_path)
    port = free_port()
    argv = [sys.executable, "-m", "k8s.runtimes.static", "--listen", f"127.0.0.1:{port}"]
    folders = ["--store", str(tmp_path / "store"), "--bundles", str(tmp_path / "bundles")]
    return Site(start([*argv, *folders], ROOT, None, port), digest)


def test_files_have_their_type_and_may_be_kept_only_with_asking(site: Site) -> None:
    answer = site.ask("/app.js")
    assert (answer.status, answer.body) == (200, b"1")
    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-cache"
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]
    assert site.ask("/alias.js").body == b"1"
    assert site.ask("/empty.css").body == b""
    assert site.ask("/a%20b/%C3%BC.txt").body == b"umlaut"


def test_a_folder_shows_its_index_and_gets_its_slash(site: Site) -> None:
    assert site.ask("/").text == "<h1>home</h1>"
    assert site.ask("/docs/").text == "docs"
    answer = site.ask("/docs?x=1")
    assert (answer.status, answer.headers["Location"]) == (302, "./docs/?x=1")


def test_an_unchanged_file_is_not_sent_again(site: Site) -> None:
    tag = site.ask("/big.bin").headers["ETag"]
    for listed in (tag, f'"x", W/{tag}', "*"):
        answer = site.ask("/big.bin", If_None_Match=listed)
        assert (answer.status, answer.body) == (304, b"")
    assert site.ask("/big.bin", If_None_Match='"other"').status == 200


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-9", 0, 9),
        ("bytes=100-", 100, len(BIG) - 1),
        ("bytes=-5", len(BIG) - 5, len(BIG) - 1),
        ("bytes=5-9999999", 5, len(BIG) - 1),
    ],
)
def test_a_range_is_sent_alone(site: Site, asked: str, first: int, last: int) -> None:
    answer = site.ask("/big.bin", Range=asked)
    assert (answer.status, answer.body) == (206, BIG[first : last + 1])
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{len(BIG)}"


def test_ranges_that_cannot_be_are_refused_or_ignored(site: Site) -> None:
    assert site.ask("/big.bin", Range=f"bytes={len(BIG)}-").status == 416
    assert site.ask("/big.bin", Range="bytes=-0").status == 416
    for ignored in ("bytes=9-5", "bytes=0-1,3-4", "lines=1-2", "bytes=-"):
        assert site.ask("/big.bin", Range=ignored).body == BIG
    assert site.ask("/big.bin", Range="bytes=0-1", If_Range='"old"').status == 200


def test_head_has_the_headers_and_no_body(site: Site) -> None:
    answer = site.ask("/big.bin", "HEAD")
    assert (answer.status, answer.body, answer.headers["Content-Length"]) == (200, b"", str(len(BIG)))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_refused(site: Site, method: str) -> None:
    assert site.ask("/", method).status == 405


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/docs/../../secret.txt",
        "/out",
        "/..%5csecret.txt",
        "/%00",
        "/app.js/",
        "/app.js/x",
        "/" + "x" * 300,
    ],
)
def test_nothing_outside_the_folder_is_served(site: Site, path: str) -> None:
    answer = site.ask(path)
    assert (answer.status, b"secret" in answer.body) == (404, False)


def test_a_site_may_bring_its_own_404(site: Site) -> None:
    answer = site.ask("/nope", folder="other/app")
    assert (answer.status, answer.text) == (404, "lost")
    assert site.ask("/nope").status == 404


def test_single_page_apps_get_their_index_for_paths_without_extension(site: Site) -> None:
    assert site.ask("/deep/link", folder="web/app;spa").text == "<h1>home</h1>"
    assert site.ask("/missing.js", folder="web/app;spa").status == 404


@pytest.mark.parametrize(
    "header",
    ["", "x", "sha256:" + "0" * 64 + "/web/app", "sha256:abc/../..", "{digest}/../x", "{digest}/web/app;other"],
)
def test_without_a_known_artifact_there_is_nothing(site: Site, header: str) -> None:
    assert site.server.ask("/", X_Freehold_Static=header.replace("{digest}", site.digest)).status == 404


def test_memory_stays_small(site: Site) -> None:
    for _ in range(20):
        assert site.ask("/big.bin").body == BIG
    rollup = Path(f"/proc/{site.server.process.pid}/smaps_rollup").read_text()
    found = re.search(r"^Pss:\s+([0-9]+)", rollup, re.MULTILINE)
    assert found
    assert int(found[1]) < PSS_LIMIT_KB
