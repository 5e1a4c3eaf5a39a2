"""A pytest plugin: PostgreSQL and Redis for the tests, started by the code of `manage.py up`.

It must come before pytest-django reads the settings, hence `-p tests.stores` in pyproject.toml and not a fixture. The data
directory is kept between runs (making it takes most of a second); everything else in this home is emptied.
"""

import asyncio
import atexit
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from provider.up import home, machine, ports, postgres, probes, secretfile, table
from provider.up.child import SOURCE
from provider.up.complaint import Complaint
from provider.up.process import Process

KEPT = {"pg", "pg.passwd", "secrets.env", "lock"}
UNSAFE_BUT_QUICK = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
START_TIMEOUT_S = 30


def _homes() -> Iterator[Path]:
    """One per checkout and simultaneous run."""
    name = SOURCE.as_posix().strip("/").replace("/", "-")
    for number in range(20):
        yield Path(tempfile.gettempdir()) / f"freehold-tests-{os.geteuid()}-{name}-{number}"


def _claimed() -> home.Home:
    """One that nobody else has, emptied. One run after the other: looking whether a home is free writes into it."""
    with open(f"{next(_homes())}.claim", "w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        place = _claim()
        _empty(place)
        return home.prepare(place.path)


def _claim() -> home.Home:
    for path in _homes():
        place = home.prepare(path)
        try:
            home.lock(place)
        except Complaint:
            continue
        return place
    raise Complaint("Twenty test runs of this checkout are going on already.")


def _empty(place: home.Home) -> None:
    for entry in place.path.iterdir():
        if entry.name not in KEPT:
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()


def _start(process: Process) -> subprocess.Popen[bytes]:
    argv = ("setpriv", "--pdeathsig", "TERM", "--", *process.argv)
    log = open(Path(process.env["FREEHOLD_HOME"]) / f"{process.name}.log", "wb")  # noqa: SIM115 - the server's from now on
    server = subprocess.Popen(argv, env=dict(process.env), stdout=log, stderr=log, start_new_session=True)
    deadline = time.monotonic() + START_TIMEOUT_S
    while verdict := asyncio.run(probes.ask(process.probe, 0.0, 1.0)):
        if server.poll() is not None or time.monotonic() > deadline:
            raise Complaint(f"{process.name} for the tests does not start ({verdict}): see {log.name}")
        time.sleep(0.02)
    atexit.register(_stop, server, process.stop_signal)
    return server


def _stop(server: subprocess.Popen[bytes], number: signal.Signals) -> None:
    server.send_signal(number)
    server.wait(30)


def start() -> None:
    """Both stores up, and the environment as `manage.py up` would give it to its processes."""
    machine.check_tools()
    place = _claimed()
    ports.choose(place.path)  # a cluster on the same machine has ports among those that a checkout's path leads to
    secrets = secretfile.load(place.path)
    database = postgres.cluster(place, secrets, UNSAFE_BUT_QUICK)
    database.ensure_data()
    plan = table.Plan(place, 8000, 8443, database, secrets, None)
    for process in table.stores(plan):
        _start(process)
    # The tests make and drop a database of their own, so they come as the owner.
    os.environ.update(table.settings(plan) | {"DATABASE_URL": database.url(owner=True)})


start()
