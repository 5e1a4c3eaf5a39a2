"""A provider of a few lines that answers as a test says, and the command line as a process of its own."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class FlakyProvider:
    """Answers each path with the next of its `answers`, the last one for ever. An answer of None hangs up."""

    url: str = ""
    answers: dict[str, list[tuple[int, Any] | None]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def on(self, call: str, *answers: tuple[int, Any] | None) -> None:
        """call: such as "GET cloud/"."""
        self.answers[call] = list(answers)

    def next(self, call: str) -> tuple[int, Any] | None:
        left = self.answers.get(call, [(404, {"error": {"code": "not_found", "message": f"no {call}"}})])
        return left.pop(0) if len(left) > 1 else left[0]


def _handler(provider: FlakyProvider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path.removeprefix("/api/v1/").partition("?")[0]
            provider.asked.append(Asked(self.command, self.path, dict(self.headers), body))
            found = provider.next(f"{self.command} {path}")
            if found is None:
                self.close_connection = True
                return
            status, data = found
            content = data.encode() if isinstance(data, str) else json.dumps(data).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/event-stream" if isinstance(data, str) else "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


@pytest.fixture
def provider() -> Iterator[FlakyProvider]:
    flaky = FlakyProvider()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(flaky))
    flaky.url = f"http://freehold.localhost:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield flaky
    server.shutdown()
    server.server_close()


Freehold = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def freehold(provider: FlakyProvider, tmp_path: Path) -> Freehold:
    """Run the command line in `tmp_path`; `token=""` runs it signed out."""

    def run(*words: str, given: str = "", token: str = "fh_test_token") -> "subprocess.CompletedProcess[str]":
        ours = {
            "XDG_CONFIG_HOME": str(tmp_path / "config"),
            "FREEHOLD_URL": provider.url,
            "FREEHOLD_TOKEN": token,
            "PYTHONPATH": str(SOURCE),
        }
        command = [sys.executable, "-m", "provider.cli.main", *words]
        environment = os.environ | ours
        return subprocess.run(
            command, cwd=tmp_path, env=environment, input=given, capture_output=True, text=True, timeout=60
        )

    return run
