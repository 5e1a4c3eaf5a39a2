"""What the console's pages cost, with one instance and with many: at the server, and at the gate."""

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
MANY = 30


def measure(stack: Stack, someone: Person) -> list[Figure]:
    slug = someone.publish("page", STATIC)
    first = someone.running(slug)
    paths = ("/", "/apps/", f"/apps/{slug}/", f"/instances/{first['id']}/", "/cloud/", "/projects/")
    one = _inside(stack, someone, paths)
    _room_for_many(stack, someone)
    for _ in range(MANY - 1):
        someone.running(slug)
    many = _inside(stack, someone, paths)
    names = {path: path.replace(slug, "APP").replace(first["id"], "ID") for path in paths}
    return [
        *(Figure(f"{names[path]} at the server, p50", many[path]["ms"], "ms", PAGE_LIMIT_MS) for path in paths),
        *(Figure(f"{names[path]} at the gate, p50", _at_the_gate_ms(someone, path), "ms") for path in paths),
        *(
            Figure(
                f"{names[path]} queries, {MANY} (limit: 1) instances", many[path]["queries"], "", one[path]["queries"]
            )
            for path in paths
        ),
    ]


def _at_the_gate_ms(someone: Person, path: str) -> float:
    """Over one kept connection: the way there and back, and this client, included."""
    times = []
    for _ in range(ROUNDS):
        began = time.monotonic()
        answer = someone.web.get(f"{someone.stack.console}{path}")
        times.append((time.monotonic() - began) * 1000)
        assert answer.status_code == 200, f"{path}: {answer.status_code}"
    return median(times)


def _inside(stack: Stack, someone: Person, paths: Sequence[str]) -> dict[str, dict[str, float]]:
    answer: dict[str, dict[str, float]] = json.loads(
        _with_webs_environment(stack, "-m", "tests.bench.inside", someone.email, str(ROUNDS), *paths)
    )
    return answer


def _room_for_many(stack: Stack, someone: Person) -> None:
    """As the operator would make it on the cloud's page."""
    code = (
        "import sys, django; django.setup(); from tenants.models import Cloud; from tenants.services import clouds;"
        "clouds.set_quota(None, Cloud.objects.get(owner__email=sys.argv[1]), cpu_millis=None, memory_mib=None,"
        f"storage_mib=None, instances={MANY + 5})"
    )
    _with_webs_environment(stack, "-c", code, someone.email)


def _with_webs_environment(stack: Stack, *arguments: str) -> str:
    """Output of Python with what the web process was told, where its database is above all."""
    entries = Path(f"/proc/{stack.pid_of('wsgi')}/environ").read_bytes().decode().split("\0")
    environment = dict(entry.split("=", 1) for entry in entries if "=" in entry)
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=stack.source,
        env=os.environ | environment | {"FREEHOLD_DB_POOL": "false"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
