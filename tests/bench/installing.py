"""From the click on Install to running, against the same process started bare."""

import os
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from tests.bench.table import Figure, median
from tests.journey.people import Person
from tests.journey.stack import free_port

ROUNDS = 10
ABOVE_BARE_LIMIT_S = 1.5
APP = {
    "Spacefile": "v: 0\nmicros:\n  - {name: bare, src: ., engine: python3.9, run: python3 main.py}\n",
    "main.py": (
        "import http.server, os\n"
        "http.server.HTTPServer(('', int(os.environ['PORT'])), http.server.SimpleHTTPRequestHandler).serve_forever()\n"
    ),
}


def measure(someone: Person) -> list[Figure]:
    slug = someone.publish("bare", APP)
    installed = median([_install(someone, slug) for _ in range(ROUNDS)])
    bare = median([_bare() for _ in range(ROUNDS)])
    return [
        Figure("install to running, p50", installed, "s"),
        Figure("the same process bare, p50", bare, "s"),
        Figure("install above bare", installed - bare, "s", ABOVE_BARE_LIMIT_S),
    ]


def _install(someone: Person, slug: str) -> float:
    began = time.monotonic()
    made = someone.install(slug)
    while someone.instance(made["id"])["state"] == "installing":
        time.sleep(0.01)
    took = time.monotonic() - began
    assert someone.instance(made["id"])["state"] == "running"
    someone.remove(made["id"])
    return took


def _bare() -> float:
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "main.py").write_text(APP["main.py"])
        began = time.monotonic()
        process = subprocess.Popen(
            ["/usr/bin/python3", "main.py"],
            cwd=folder,
            env={**os.environ, "PORT": str(port)},
            stderr=subprocess.DEVNULL,
        )
        try:
            while not _accepts(port):
                time.sleep(0.002)
            return time.monotonic() - began
        finally:
            process.kill()
            process.wait()


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
