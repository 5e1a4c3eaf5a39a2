"""Pages of an app under `freehold dev` reach the data of its owner's own copy, and nobody else's pages do."""

import json
import os
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from provider.up import authority
from tests.cli.test_dev import dev, root

__all__ = ["dev", "root"]
Dev = Callable[[], "tuple[str, subprocess.Popen[str]]"]
ITEMS, FILES = "/__space/v0/base/v1/dummy/things/items", "/__space/v0/drive/v1/dummy/things/files"


@dataclass
class DataServer:
    """Answers with what it was asked."""

    host: str = ""
    asked: list[str] = field(default_factory=list)


def _handler(server: DataServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            server.asked.append(f"{self.command} {self.path}")
            content = json.dumps({"headers": dict(self.headers), "bytes": len(body)}).encode()
            self.send_response(207 if self.command == "PUT" else 200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = answer

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DataServer]:
    """A data address whose certificate is the provider's own, named in the shell as `freehold exec` names one."""
    home = tmp_path / "home"
    home.mkdir()
    authority.ensure(home, ("localhost",))
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(found := DataServer()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(home / "gate.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    found.host = f"localhost:{server.server_port}"
    for name, value in {"DETA_PROJECT_KEY": "prj_secret", "SSL_CERT_FILE": str(home / "ca.pem")}.items():
        monkeypatch.setenv(name, value)
    for name in ("DETA_BASE_HOST", "DETA_DRIVE_HOST"):
        monkeypatch.setenv(name, found.host)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield found
    server.shutdown()
    server.server_close()


def test_a_page_writes_and_reads_without_knowing_key_or_project(data: DataServer, dev: Dev) -> None:
    url, _ = dev()
    origin, page = {"Origin": url, "Sec-Fetch-Site": "same-origin"}, {"X-API-Key": "dummy", "Cookie": "a=b"}
    written = httpx.put(url + ITEMS, json={"items": [{"key": "a"}]}, headers=origin | page)
    assert (written.status_code, written.json()["bytes"]) == (207, 23)
    seen = {name.lower(): value for name, value in written.json()["headers"].items()}
    assert (seen["x-api-key"], seen["host"], seen["content-type"]) == ("prj_secret", data.host, "application/json")
    assert not {"cookie", "origin", "x-freehold-user"} & seen.keys()
    assert httpx.post(f"{url}{FILES}?name=a%2Fb", content=b"x" * 300_000, headers=origin).json()["bytes"] == 300_000
    httpx.get(f"{url}{ITEMS}/a%2f..%2fb?n=1")
    assert data.asked == [
        "PUT /v1/prj/things/items",
        "POST /v1/prj/things/files?name=a%2Fb",
        "GET /v1/prj/things/items/a%2f..%2fb?n=1",
    ]


OTHERS: list[tuple[str, dict[str, str], int]] = [
    ("GET", {"Origin": "http://evil.example"}, 401),
    ("GET", {"Sec-Fetch-Site": "cross-site"}, 401),
    ("GET", {"Sec-Fetch-Site": "same-site"}, 401),
    ("GET", {"Host": "evil.example"}, 401),  # a name of theirs that leads here
    ("GET", {"Host": "evil.example", "Sec-Fetch-Site": "same-origin"}, 401),
    ("OPTIONS", {"Origin": "http://evil.example"}, 401),
    ("PUT", {"Origin": "http://evil.example"}, 403),
    ("PUT", {"Origin": "null"}, 403),
    ("POST", {"Origin": "http://localhost:1"}, 403),
    ("DELETE", {"Sec-Fetch-Site": "cross-site"}, 403),
]


def test_pages_of_others_reach_nothing(data: DataServer, dev: Dev) -> None:
    url, _ = dev()
    for method, headers, status in OTHERS:
        answer = httpx.request(method, url + ITEMS, headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json"), (method, headers)
        assert answer.json() == {"errors": ["Unauthorized" if status == 401 else "Forbidden"]}
    assert data.asked == []


def test_what_is_neither_base_nor_drive_is_not_there(data: DataServer, dev: Dev) -> None:
    url, _ = dev()
    paths = (
        "base/v1/p/things/files",
        "drive/v1/p/things/items",
        "base/v2/p/things/items",
        "base/v1/p",
        "base/../__admin/x",
    )
    for path in paths:
        at = httpx.URL(url, raw_path=f"/__space/v0/{path}".encode())
        assert httpx.get(at).status_code == 404, path
    assert data.asked == []


def test_a_data_address_that_cannot_be_believed_is_named(
    data: DataServer, dev: Dev, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere.pem")
    url, _ = dev()
    monkeypatch.delenv("SSL_CERT_FILE")  # which the test's own client would read
    answer = httpx.get(url + ITEMS)
    assert (answer.status_code, data.asked) == (502, [])
    assert data.host in answer.json()["errors"][0]


def test_without_data_pages_are_told_so(dev: Dev) -> None:
    assert "DETA_PROJECT_KEY" not in os.environ
    url, _ = dev()
    answer = httpx.get(url + ITEMS)
    assert (answer.status_code, "no data here" in answer.json()["errors"][0]) == (404, True)
