"""`python3 -m freehold_server`: whichever interface an app speaks, it is served on $PORT."""

import subprocess
import threading
from pathlib import Path

import pytest

from tests.runtimes.conftest import PYTHON, Server, Start

APPS = {
    "an ASGI function": "async def app(scope, receive, send):\n    assert scope['type'] == 'http'\n" + "{asgi}",
    "an ASGI object": "class A:\n  async def __call__(self, scope, receive, send):\n{asgi2}\napp = A()\n",
    "an ASGI function behind a plain wrapper": "async def inner(scope, receive, send):\n{asgi}\n"
    "def app(scope, receive, send):\n    return inner(scope, receive, send)\n",
    "a WSGI function": "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'hello']\n",
    "a WSGI object": "class A:\n  def __call__(self, environ, start):\n    start('200 OK', [])\n"
    "    return [b'hello']\napp = A()\n",
    "an ASGI 2 class": "class app:\n  def __init__(self, scope): pass\n  async def __call__(self, receive, send):\n"
    "    scope = {'type': 'http'}\n{asgi2}",
    "a WSGI class": "class app:\n  def __init__(self, environ, start):\n    start('200 OK', [])\n"
    "  def __iter__(self):\n    yield b'hello'\n",
}
ASGI = (
    "    if scope['type'] != 'http': raise RuntimeError\n"
    "    await send({'type': 'http.response.start', 'status': 200, 'headers': []})\n"
    "    await send({'type': 'http.response.body', 'body': b'hello'})\n"
)


def serve(start: Start, runtime: Path, folder: Path, code: str) -> Server:
    (folder / "main.py").write_text(code.replace("{asgi2}", ASGI).replace("{asgi}", ASGI))
    return start([PYTHON, "-m", "freehold_server", "main:app"], folder, {"PYTHONPATH": str(runtime)})


@pytest.mark.parametrize("kind", APPS)
def test_every_kind_of_app_is_recognised(kind: str, start: Start, runtime: Path, tmp_path: Path) -> None:
    assert serve(start, runtime, tmp_path, APPS[kind]).ask("/").text == "hello"


@pytest.mark.parametrize("kind", ["an ASGI function", "a WSGI function"])
def test_it_ends_when_told_to(kind: str, start: Start, runtime: Path, tmp_path: Path) -> None:
    assert serve(start, runtime, tmp_path, APPS[kind]).stop() in (0, -15)


def test_wsgi_requests_run_side_by_side(start: Start, runtime: Path, tmp_path: Path) -> None:
    code = (
        "import threading\nbarrier = threading.Barrier(4, timeout=10)\n"
        "def app(environ, start):\n    barrier.wait()\n    start('200 OK', [])\n    return [b'together']\n"
    )
    server = serve(start, runtime, tmp_path, code)
    texts: list[str] = []
    threads = [threading.Thread(target=lambda: texts.append(server.ask("/").text)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == ["together"] * 4


def test_the_app_is_imported_from_its_own_folder_and_opens_files_relatively(
    start: Start, runtime: Path, tmp_path: Path
) -> None:
    (tmp_path / "other.py").write_text("text = open('data.txt').read()\n")
    (tmp_path / "data.txt").write_text("from a file")
    code = "import other\ndef app(e, start):\n    start('200 OK', [])\n    return [other.text.encode()]\n"
    assert serve(start, runtime, tmp_path, code).ask("/").text == "from a file"


@pytest.mark.parametrize(
    ("code", "says"), [("app = 1", "no app that can be called"), ("import nothing_such", "nothing_such")]
)
def test_an_app_that_cannot_be_loaded_says_why_and_fails(code: str, says: str, runtime: Path, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(code)
    argv = [PYTHON, "-m", "freehold_server", "main:app"]
    env = {"PYTHONPATH": str(runtime), "PATH": "/usr/bin"}
    done = subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert says in done.stderr
