"""`freehold dev`: all micros behind one address, as real processes; and `trigger` and `exec`."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from apps_catalog.spacefile import Micro
from provider.cli.dev_micros import command_of
from tests.cli.conftest import SOURCE, Freehold

ECHO = """
import http.server, json, os
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        seen = {"path": self.path, "headers": dict(self.headers), "body": body, "env": dict(os.environ)}
        content = json.dumps(seen).encode()
        self.send_response(500 if "fail" in body else 200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
    do_GET = do_POST = answer
print("listening", flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
SPACEFILE = """v: 0
micros:
  - name: pages
    src: pages
    engine: static
    serve: .
    primary: true
  - name: api
    src: api
    engine: python3.9
    run: python3 server.py
    presets: {env: [{name: COLOUR, default: red}, {name: SHELL_WINS, default: no-it-does-not}]}
    actions: [{id: tidy, name: Tidy, trigger: schedule, default_interval: 1 day}]
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder, name, text in (("pages", "index.html", "<h1>hello</h1>"), ("api", "server.py", ECHO)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(text)
    (tmp_path / "Spacefile").write_text(SPACEFILE)
    return tmp_path


@pytest.fixture
def dev(root: Path) -> Iterator[Callable[[], "tuple[str, subprocess.Popen[str]]"]]:
    """Starts `freehold dev` in the project → (its address, the process)."""
    started: list[subprocess.Popen[str]] = []

    def start() -> "tuple[str, subprocess.Popen[str]]":
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [sys.executable, "-m", "provider.cli.main", "dev", "--port", str(port)]
        env = os.environ | {"PYTHONPATH": str(SOURCE), "SHELL_WINS": "yes"}
        process = subprocess.Popen(
            command, cwd=root, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        for line in process.stdout or ():
            if "is your app" in line:
                break
        return f"http://localhost:{port}", process

    yield start
    for process in started:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_all_micros_answer_behind_one_address(dev: Callable[[], "tuple[str, subprocess.Popen[str]]"]) -> None:
    url, _ = dev()
    page = httpx.get(url + "/")
    assert (page.status_code, page.text, page.headers["content-type"]) == (200, "<h1>hello</h1>", "text/html")
    assert httpx.get(url + "/nothing.js").status_code == 404
    assert httpx.get(url + "/%2e%2e/api/server.py").status_code == 404
    seen = httpx.post(url + "/api/items?n=1", content=b"x" * 200_000).json()
    assert (seen["path"], len(seen["body"])) == ("/items?n=1", 200_000)
    assert httpx.get(url + "/api").json()["path"] == "/"
    assert httpx.get(url + "/apiary").status_code == 404


def test_the_visitor_is_the_owner_whatever_a_request_says(
    dev: Callable[[], "tuple[str, subprocess.Popen[str]]"],
) -> None:
    url, _ = dev()
    forged = {"X-Freehold-User": "usrevil", "X_Freehold_Role": "guest", "X-Forwarded-For": "1.2.3.4", "X-Mine": "stays"}
    seen = httpx.get(url + "/api/", headers=forged).json()["headers"]
    identity = {name: value for name, value in seen.items() if name.lower().replace("_", "-").startswith("x-")}
    assert identity == {
        "X-Freehold-User": "usrdev",
        "X-Freehold-Email": "owner@localhost",
        "X-Freehold-Role": "owner",
        "X-Mine": "stays",
    }


def test_a_micro_sees_the_environment_of_a_cloud(dev: Callable[[], "tuple[str, subprocess.Popen[str]]"]) -> None:
    url, _ = dev()
    env = httpx.get(url + "/api/").json()["env"]
    expected = {
        "COLOUR": "red",
        "SHELL_WINS": "yes",
        "DETA_SPACE_APP": "true",
        "DETA_SPACE_APP_HOSTNAME": url.removeprefix("http://"),
        "DETA_SPACE_APP_MICRO_NAME": "api",
        "DETA_SPACE_APP_MICRO_TYPE": "normal",
        "UVICORN_PORT": env["PORT"],
    }
    assert {name: env[name] for name in expected} == expected
    assert len(env["DETA_API_KEY"]) > 20


def test_an_action_is_triggered_from_another_terminal(
    dev: Callable[[], "tuple[str, subprocess.Popen[str]]"], freehold: Freehold
) -> None:
    missing = freehold("dev", "trigger", "tidy")
    assert missing.returncode == 1 and "freehold dev" in missing.stderr
    url, _ = dev()
    httpx.get(url + "/api/")
    done = freehold("dev", "trigger", "tidy", "--json")
    seen = json.loads(json.loads(done.stdout)["body"])
    assert (done.returncode, seen["path"]) == (0, "/__space/v0/actions")
    assert json.loads(seen["body"]) == {"event": {"id": "tidy", "trigger": "schedule"}}
    unknown = freehold("dev", "trigger", "nope")
    assert unknown.returncode == 1 and "there are: tidy" in unknown.stderr
    assert httpx.post(url + "/api/__space/v0/actions", content=b"{}").status_code == 404


def test_a_stream_comes_through_as_it_is_written(
    root: Path, dev: Callable[[], "tuple[str, subprocess.Popen[str]]"]
) -> None:
    slow = ECHO.replace("content = json.dumps(seen).encode()", 'content = b"x" * 3').replace(
        "self.wfile.write(content)",
        "[(self.wfile.write(b'x'), self.wfile.flush(), __import__('time').sleep(0.3)) for _ in range(3)]",
    )
    (root / "api" / "server.py").write_text(slow)
    url, _ = dev()
    httpx.get(url + "/api/")
    with httpx.stream("GET", url + "/api/") as answer:
        began = time.monotonic()
        first = next(answer.iter_raw())
        assert first == b"x" and time.monotonic() - began < 0.25


def test_ctrl_c_ends_everything_that_was_started(
    root: Path, dev: Callable[[], "tuple[str, subprocess.Popen[str]]"]
) -> None:
    (root / "api" / "server.py").write_text(ECHO.replace('"env": dict(os.environ)', '"env": {}, "pid": os.getpid()'))
    url, process = dev()
    pid = httpx.get(url + "/api/").json()["pid"]
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    assert gone(pid)
    assert list((root / ".space" / "micros").iterdir()) == []


def test_a_micro_that_fails_ends_the_command_with_its_reason(
    root: Path, dev: Callable[[], "tuple[str, subprocess.Popen[str]]"]
) -> None:
    (root / "api" / "server.py").write_text("print('about to fail')\nraise SystemExit(3)\n")
    _, process = dev()
    out, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "[api] about to fail" in out
    assert re.search(r"Micro api ended with status 3: python3 server.py", err)


def test_exec_runs_a_command_in_the_apps_environment(root: Path, freehold: Freehold) -> None:
    (root / "Spacefile").write_text(
        SPACEFILE.replace("    primary: true\n", "").replace("name: api\n", "name: api\n    primary: true\n")
    )
    done = freehold("exec", "--", "sh", "-c", "echo $COLOUR $DETA_SPACE_APP_MICRO_NAME; exit 7")
    assert (done.returncode, done.stdout) == (7, "red api\n")
    missing = freehold("exec", "--", "no-such-program")
    assert missing.returncode == 1 and "no-such-program cannot be run" in missing.stderr


def test_the_run_line_of_an_image_is_not_run_on_the_developers_machine() -> None:
    image = "registry.example/tool@sha256:" + "0" * 64
    micro = Micro(name="tool", src="tool", engine="custom", run="/tool --serve", image=image)
    assert command_of(micro) is None
    assert command_of(micro.model_copy(update={"dev": "go run ."})) == "go run ."
