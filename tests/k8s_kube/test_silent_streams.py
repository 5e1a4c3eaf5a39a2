"""A stream may be silent for long: only connecting must be quick."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from k8s.kube import api as under_test
from k8s.kube.api import Api
from tests.k8s_kube.test_apiserver_in_bad_weather import kubeconfig

CONNECT_S, SILENCE_S = 0.2, 0.7


class Hesitates(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.flush()
        time.sleep(SILENCE_S)
        self.wfile.write(b"at last\n")

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    monkeypatch.setattr(under_test, "_CONNECT_S", CONNECT_S)
    with ThreadingHTTPServer(("127.0.0.1", 0), Hesitates) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Api(kubeconfig(tmp_path, server.server_port), None)
        server.shutdown()


def test_silence_is_borne_for_as_long_as_was_said(api: Api) -> None:
    assert list(api.lines("/watch", {}, read_timeout_s=20)) == [b"at last"]


def test_longer_silence_ends_the_stream(api: Api) -> None:
    with pytest.raises(TimeoutError):
        list(api.lines("/watch", {}, read_timeout_s=0.3))
