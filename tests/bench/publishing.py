"""What it costs to publish: reading a Spacefile, pushing what is there already, dependencies again, a very large bundle."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from apps_catalog.spacefile import parse
from tests.bench.table import Figure, median
from tests.journey.apps import STATIC
from tests.journey.people import Person, credentials
from tests.journey.stack import SOURCE, Stack

PARSE_LIMIT_MS, UNCHANGED_LIMIT_S, CACHED_LIMIT, GROWTH_LIMIT_MB = 5, 2, 0.2, 30
PARSE_ROUNDS, PUSH_ROUNDS, CACHED_ROUNDS = 50, 5, 3
LARGE_FILES, LARGE_FILE_MB = 6, 40  # random bytes, which do not become less
DATE = "2026-01-01T00:00:00Z"
_MICRO = """  - name: micro{n}
    src: ./micro{n}
    engine: python3.9
    primary: {primary}
    commands: [make, make install]
    include: [main.py, lib, assets]
    run: gunicorn main:app --workers 2
    dev: uvicorn main:app --reload
    presets:
      env: [{{name: COLOUR{n}, description: its colour, default: red}}, {{name: TOKEN{n}, description: a secret}}]
      api_keys: true
    public_routes: [/share/*, /public/*]
    actions:
"""
_ACTION = "      - {{id: a{n}-{m}, name: Action {n}-{m}, trigger: schedule, default_interval: 0/15 1-5 * * mon-fri}}\n"
PACKAGE = {"name": "x", "private": True, "dependencies": {"express": "4.21.2", "vite": "5.4.8", "typescript": "5.6.3"}}
NODE = "v: 0\nmicros:\n  - {name: web, src: ., engine: nodejs20, run: node index.js}\n"
REQUIREMENTS = "fastapi==0.115.0\nsqlalchemy==2.0.35\nhttpx==0.27.2\njinja2==3.1.4\npillow==10.4.0\n"
PYTHON = "v: 1\nmicros:\n  - {name: web, src: ., engine: python3.11}\n"
# What people push: packages of a server and of a build, and a Python app with some of everything.
CACHED = {
    "Node": ({"Spacefile": NODE, "package.json": json.dumps(PACKAGE)}, "index.js", "{}"),
    "Python": ({"Spacefile": PYTHON, "requirements.txt": REQUIREMENTS}, "main.py", "app = {}"),
}


def measure(stack: Stack, someone: Person) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="freehold-bench-") as folder:
        return [
            Figure("Spacefile of 5 micros and 25 actions, parse + validate, p50", _parse_ms(), "ms", PARSE_LIMIT_MS),
            *_cached(someone),
            *_pushes(stack, someone, Path(folder)),
        ]


def _parse_ms() -> float:
    micros = (
        _MICRO.format(n=n, primary=str(n == 0).lower()) + "".join(_ACTION.format(n=n, m=m) for m in range(5))
        for n in range(5)
    )
    text = "v: 0\nicon: icon.png\nmicros:\n" + "".join(micros)
    times = []
    for _ in range(PARSE_ROUNDS):
        began = time.perf_counter()
        assert len(parse(text).micros) == 5
        times.append((time.perf_counter() - began) * 1000)
    return median(times)


def _cached(someone: Person) -> Iterator[Figure]:
    """The same dependencies again, with other code, as a developer pushes: from the upload to a revision that is ready."""
    for language, (files, changed, text) in CACHED.items():
        slug = str(someone.call("POST", "projects/", json={"name": f"cached {language.lower()}"})["slug"])
        cold, *again = (
            _build_s(someone, slug, files | {changed: text.format(number)}) for number in range(CACHED_ROUNDS + 1)
        )
        yield Figure(f"{language}: build with dependencies, cold", cold, "s")
        yield Figure(f"{language}: the same from the cache, of the cold build", median(again) / cold, "", CACHED_LIMIT)


def _build_s(someone: Person, slug: str, files: Mapping[str, str]) -> float:
    began = time.monotonic()
    revision = someone.build(slug, files, as_of=DATE)
    assert revision["state"] == "ready", revision["state_reason"]
    return time.monotonic() - began


def _pushes(stack: Stack, someone: Person, folder: Path) -> list[Figure]:
    push = _Push(stack, folder / "config", folder / "app")
    push.sign_in(someone)
    push.app.mkdir()
    for name, text in STATIC.items():
        (push.app / name).write_text(text)
    push()
    times = []
    for _ in range(PUSH_ROUNDS):
        began = time.monotonic()
        small_mb = push()
        times.append(time.monotonic() - began)
    for number in range(LARGE_FILES):
        with (push.app / f"large{number}.bin").open("wb") as file:
            for _ in range(LARGE_FILE_MB):
                file.write(os.urandom(1_000_000))
    with _growth_mb(_with_children(stack.pid_of("wsgi"))) as web:
        large_mb = push("--no-install")
    return [
        Figure("push of an unchanged app, p50", median(times), "s", UNCHANGED_LIMIT_S),
        Figure(f"{LARGE_FILES * LARGE_FILE_MB} MB bundle, growth of web", web[0], "MB", GROWTH_LIMIT_MB),
        Figure(
            f"{LARGE_FILES * LARGE_FILE_MB} MB bundle, growth of the CLI", large_mb - small_mb, "MB", GROWTH_LIMIT_MB
        ),
    ]


class _Push:
    """`freehold push` as somebody has it on their machine; returns the most memory it had, in MB."""

    def __init__(self, stack: Stack, config: Path, app: Path) -> None:
        self.app = app
        self._ours = {"XDG_CONFIG_HOME": str(config), "FREEHOLD_URL": stack.console, "PYTHONPATH": str(SOURCE)}

    def sign_in(self, someone: Person) -> None:
        given = credentials(someone)["password"] + "\n"
        words = ("login", "--email", someone.email, "--password-stdin")
        subprocess.run(self._command(*words), env=os.environ | self._ours, input=given, text=True, check=True)

    def __call__(self, *more: str) -> float:
        words = self._command("push", "--skip-logs", "--json", *more)
        process = subprocess.Popen(words, cwd=self.app, env=os.environ | self._ours, stdout=subprocess.PIPE)
        with _growth_mb([process.pid], of_all=True) as peak:
            out, _ = process.communicate(timeout=600)
        assert process.returncode == 0, out.decode()
        return peak[0]

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "provider.cli.main", *words]


@contextmanager
def _growth_mb(pids: Sequence[int], *, of_all: bool = False) -> Iterator[list[float]]:
    """How far the processes' own memory rose above what it was when this began; of_all: above nothing."""
    before, stop = (0.0 if of_all else _resident_mb(pids)), Event()
    found = [0.0]

    def look() -> None:
        while not stop.wait(0.01):
            found[0] = max(found[0], _resident_mb(pids) - before)

    watching = Thread(target=look)
    watching.start()
    try:
        yield found
    finally:
        stop.set()
        watching.join()


def _with_children(pid: int) -> list[int]:
    """The server and its workers, which do the work."""
    found = [children.read_text().split() for children in Path(f"/proc/{pid}/task").glob("*/children")]
    workers = [int(child) for group in found for child in group]
    assert workers
    return [pid, *workers]


def _resident_mb(pids: Sequence[int]) -> float:
    """Without file pages, which belong to the machine."""
    return sum(_anonymous_kb(pid) for pid in pids) / 1000


def _anonymous_kb(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:  # it ended meanwhile
        return 0
    return next((float(line.split()[1]) * 1.024 for line in text.splitlines() if line.startswith("RssAnon:")), 0)
