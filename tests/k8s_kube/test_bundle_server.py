"""Who gets which bytes, and what a build may hand in."""

import gzip
import hashlib
import http.client
import io
import json
import socket
import tarfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest

from k8s.bundles import tokens
from k8s.bundles.client import ResultsClient
from k8s.bundles.server import BundleServer
from k8s.bundles.tokens import Bearer, Kind
from k8s.errors import NotFound
from k8s.runtimes.launcher.fetch import Refused, Source, _download
from k8s.specs import BuildMicro, BuildSpec
from tests.contract.lanes import until

KEY = b"k" * 32
MANIFEST = json.dumps({"micros": [{"name": "site", "kind": "static", "engine": "static", "root": "site/app"}]})
RESULT = {"manifest.json": MANIFEST, "site/app/index.html": "hello"}


class Wanted:
    """One instance that wants one artifact, and one build."""

    def __init__(self) -> None:
        self.artifact = ""
        self.told: list[tuple[str, ...]] = []
        micros = (BuildMicro("site", "static", "site"),)
        self.spec = BuildSpec("c1", "cloud-c1", "j1", "sha256:" + "5" * 64, micros, output_limit_mib=1)

    def wants(self, cloud_id: str, instance_id: str, digest: str) -> bool:
        return (cloud_id, instance_id, digest) == ("c1", "i1", self.artifact)

    def comes_up(self, *told: str) -> None:
        self.told.append(told)

    def build(self, cloud_id: str, job_id: str) -> BuildSpec:
        if (cloud_id, job_id) != ("c1", "j1"):
            raise NotFound("no such build")
        return self.spec


@pytest.fixture
def server(tmp_path: Path) -> Iterator[BundleServer]:
    with BundleServer(("127.0.0.1", 0), tmp_path, KEY, Wanted()) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def ask(
    server: BundleServer,
    method: str,
    path: str,
    token: str = "",
    body: bytes | None = None,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> tuple[int, bytes]:
    link = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    try:
        link.request(method, path, body, {"Authorization": f"Bearer {token}", **headers})
        answer = link.getresponse()
        return answer.status, answer.read()
    finally:
        link.close()


def kept(server: BundleServer, content: bytes) -> str:
    from tests.contract.lanes import put

    return put(server.store, content)


def archive(files: Mapping[str, str], link: str | None = None) -> bytes:
    out = io.BytesIO()
    with gzip.GzipFile("", "wb", 6, out, 0) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
        if link:
            entry = tarfile.TarInfo("site/app/link")
            entry.type, entry.linkname = tarfile.SYMTYPE, link
            tar.addfile(entry)
    return out.getvalue()


INSTANCE, BUILD = Bearer(Kind.INSTANCE, "c1", "i1"), Bearer(Kind.BUILD, "c1", "j1")


def test_an_instance_gets_what_it_wants_and_nothing_else(server: BundleServer) -> None:
    wanted, other = kept(server, b"mine"), kept(server, b"theirs")
    server.wishes.artifact = wanted  # type: ignore[attr-defined]
    token = tokens.issue(KEY, INSTANCE)
    assert ask(server, "GET", f"/artifacts/{wanted}", token) == (200, b"mine")
    assert ask(server, "GET", f"/artifacts/{other}", token)[0] == 404
    assert ask(server, "GET", "/artifacts/../../etc/passwd", token)[0] == 404


def test_where_a_pod_comes_from_is_told_when_it_is_its_own_address(server: BundleServer) -> None:
    """Behind an address that was translated on the way there is somebody else."""
    server.wishes.artifact = wanted = kept(server, b"mine")  # type: ignore[attr-defined]
    where, wishes = f"http://127.0.0.1:{server.server_port}", server.wishes
    with Source(where, tokens.issue(KEY, INSTANCE), wanted).get(f"/artifacts/{wanted}") as answer:
        assert answer.read() == b"mine"
    until(lambda: wishes.told == [("c1", "i1", socket.gethostname(), "127.0.0.1")], 10)  # type: ignore[attr-defined]
    for address in ("10.0.0.9", "127.0.0.2", ""):
        headers = {"X-Freehold-Pod": "i-i1-x", "X-Freehold-Address": address}
        assert ask(server, "GET", f"/artifacts/{wanted}", tokens.issue(KEY, INSTANCE), headers=headers)[0] == 200
    mine = {"X-Freehold-Pod": "i-i1-x", "X-Freehold-Address": "127.0.0.1"}
    assert ask(server, "GET", f"/artifacts/{wanted}", tokens.issue(KEY, BUILD), headers=mine)[0] == 404
    assert len(wishes.told) == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("bearer", [Bearer(Kind.INSTANCE, "c1", "i2"), Bearer(Kind.INSTANCE, "c2", "i1"), BUILD])
def test_another_bearer_does_not_get_it(server: BundleServer, bearer: Bearer) -> None:
    wanted = kept(server, b"mine")
    server.wishes.artifact = wanted  # type: ignore[attr-defined]
    assert ask(server, "GET", f"/artifacts/{wanted}", tokens.issue(KEY, bearer))[0] == 404


@pytest.mark.parametrize(
    "token", ["", "instance.c1.i1.", "instance.c1.i1.0000", tokens.issue(b"x" * 32, INSTANCE), "."]
)
def test_a_token_that_was_not_issued_here_opens_nothing(server: BundleServer, token: str) -> None:
    wanted = kept(server, b"mine")
    server.wishes.artifact = wanted  # type: ignore[attr-defined]
    assert ask(server, "GET", f"/artifacts/{wanted}", token)[0] == 401
    assert ask(server, "PUT", "/results/x", token, b"x")[0] == 401


def test_a_build_hands_in_once_and_the_driver_reads_it(server: BundleServer) -> None:
    token = tokens.issue(KEY, BUILD)
    client = ResultsClient(f"http://127.0.0.1:{server.server_port}", KEY)
    assert client.find("c1", "j1") is None
    assert ask(server, "PUT", "/results/x", token, archive(RESULT))[0] == 201
    found = client.find("c1", "j1")
    assert found is not None
    assert [micro.name for micro in found.micros] == ["site"]
    assert (server.store / "sha256" / found.artifact[7:9] / found.artifact[7:]).stat().st_size == found.size_bytes
    status, body = ask(server, "PUT", "/results/x", token, archive({**RESULT, "site/app/index.html": "other"}))
    assert (status, client.find("c1", "j1")) == (422, found)
    assert b"already" in body


def test_the_same_content_is_the_same_artifact_however_it_was_packed(server: BundleServer) -> None:
    token, client = tokens.issue(KEY, BUILD), ResultsClient(f"http://127.0.0.1:{server.server_port}", KEY)
    ask(server, "PUT", "/results/x", token, archive(RESULT))
    first = client.find("c1", "j1")
    (server.store / "results" / "c1" / "j1.json").unlink()
    ask(server, "PUT", "/results/x", token, archive(dict(reversed(RESULT.items()))))
    assert client.find("c1", "j1") == first


@pytest.mark.parametrize(
    "upload",
    [
        b"no archive",
        archive(RESULT, link="/etc/passwd"),
        archive({**RESULT, "../escaped": "x"}),
        archive({"site/app/index.html": "no manifest"}),
        archive({**RESULT, "manifest.json": MANIFEST.replace('"site"', '"other"')}),
        archive({**RESULT, "bomb": "0" * 3_000_000}),
    ],
)
def test_what_is_no_artifact_is_refused_and_leaves_nothing(server: BundleServer, upload: bytes) -> None:
    status, _ = ask(server, "PUT", "/results/x", tokens.issue(KEY, BUILD), upload)
    assert status == 422
    assert not list(server.store.glob("incoming/*"))
    assert not list(server.store.glob("sha256/*/*"))


def test_more_than_the_build_may_make_is_not_even_read(server: BundleServer) -> None:
    link = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    link.putrequest("PUT", "/results/x")
    link.putheader("Authorization", f"Bearer {tokens.issue(KEY, BUILD)}")
    link.putheader("Content-Length", str(10**12))
    link.endheaders()
    assert link.getresponse().status == 413
    link.close()


def test_an_instance_hands_in_nothing(server: BundleServer) -> None:
    assert ask(server, "PUT", "/results/x", tokens.issue(KEY, INSTANCE), archive(RESULT))[0] == 401


def test_results_are_for_the_driver_alone(server: BundleServer) -> None:
    ask(server, "PUT", "/results/x", tokens.issue(KEY, BUILD), archive(RESULT))
    for bearer in (INSTANCE, BUILD, replace(BUILD, kind=Kind.INSTANCE)):
        assert ask(server, "GET", "/results/c1/j1", tokens.issue(KEY, bearer))[0] == 404


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"SSH-2.0-OpenSSH\r\n", ValueError),
        (b"", ValueError),
        (b"HTTP/1.1 503 Busy\r\n\r\nlater", Refused),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmin", ValueError),
    ],
)
def test_a_launcher_takes_nothing_else_for_its_bundle(tmp_path: Path, answer: bytes, told: type[Exception]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as strange:
        source = Source(
            f"http://127.0.0.1:{strange.getsockname()[1]}", "t", f"sha256:{hashlib.sha256(b'mine').hexdigest()}"
        )
        threading.Thread(target=_answer_once, args=(strange, answer), daemon=True).start()
        with pytest.raises(told):
            _download(source, tmp_path / "bundle")


def _answer_once(strange: socket.socket, answer: bytes) -> None:
    link, _ = strange.accept()
    with link:
        link.recv(4096)
        link.sendall(answer)
