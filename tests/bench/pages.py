"""Server time and queries of the console's pages, with one instance and with many."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.table import Figure, median
from tests.journey.apps import STATIC
from tests.journey.people import Person
from tests.journey.stack import Stack

ROUNDS = 60
PAGE_LIMIT_MS = 25
MANY = 15


def measure(stack: Stack, someone: Person) -> list[Figure]:
    slug = someone.publish("page", STATIC)
    first = someone.running(slug)
    paths = ("/", "/apps/", f"/apps/{slug}/", f"/instances/{first['id']}/", "/cloud/", "/projects/")
    few = _queries(stack, someone, paths)
    for _ in range(MANY - 1):
        someone.running(slug)
    many = _queries(stack, someone, paths)
    figures = [Figure(f"{_name(path, slug)}, p50", _p50_ms(someone, path), "ms", PAGE_LIMIT_MS) for path in paths]
    for path in paths:
        name = f"{_name(path, slug)}, queries with {MANY} instances (limit: with 1)"
        figures.append(Figure(name, many[path], "", few[path]))
    return figures


def _name(path: str, slug: str) -> str:
    return f"page {path.replace(slug, 'APP')}" if not path.startswith("/instances/") else "page /instances/ID/"


def _p50_ms(someone: Person, path: str) -> float:
    """At the gate, over one kept connection: the server's time and a little more."""
    times = []
    for _ in range(ROUNDS):
        began = time.monotonic()
        answer = someone.web.get(f"{someone.stack.console}{path}")
        times.append((time.monotonic() - began) * 1000)
        assert answer.status_code == 200, f"{path}: {answer.status_code}"
    return median(times)


def _queries(stack: Stack, someone: Person, paths: Sequence[str]) -> dict[str, int]:
    """Counted by the very code that serves, in a process with the web's own environment."""
    entries = Path(f"/proc/{stack.pid_of('wsgi')}/environ").read_bytes().decode().split("\0")
    environment = dict(entry.split("=", 1) for entry in entries if "=" in entry)
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.queries", someone.email, *paths],
        cwd=stack.source,
        env=os.environ | environment | {"FREEHOLD_DB_POOL": "false"},
        capture_output=True,
        text=True,
        check=True,
    )
    return {path: int(count) for path, count in json.loads(done.stdout).items()}
