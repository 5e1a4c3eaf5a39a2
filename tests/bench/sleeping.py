"""Waking an app, against starting the same program without anything around it; and what idleness
and metering of 10,000 instances cost.

`python -m tests.bench sleeping`: on this machine. The cluster's part is in cluster.py.
"""

import os
import socket
import subprocess
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.table import Figure, median
from tests.free_ports import free_port
from tests.journey import sleeping
from tests.journey.apps import CHATTY
from tests.journey.people import Document, Person
from tests.journey.stack import until

if TYPE_CHECKING:
    from tests.bench.idle_fleet import Idleness
    from tests.bench.metered_fleet import Metering

ROUNDS = 9
SETTLING_MINUTES = 12
INSTANCES, BUSY = 10_000, 1_000
# How often the agent reads the proxy's table, writes what is used all the time, and looks for drains; how often beat does.
READ_S, WRITE_S, POLL_S, LOOK_S, FINISH_S = 15.0, 60.0, 0.4, 20.0, 2.0
METER_S = 60.0  # the observer and the agent count, and beat has old counters dropped


def measure(owner: Person) -> list[Figure]:
    """In turns, so that what else the machine does hits both."""
    instance = owner.running(owner.publish("chatty", CHATTY))
    owner.web.get(instance["url"])
    woken, bare = [], []
    for _ in range(ROUNDS):
        sleeping.put_to_sleep(owner, instance)
        woken.append(wake(owner, instance))
        bare.append(_bare_start())
    owner.remove(instance["id"])
    return [
        Figure("waking to first byte, p50", median(woken), "s"),
        Figure("the same program by itself to first byte, p50", median(bare), "s"),
        Figure("waking over the program by itself, p50", median(woken) - median(bare), "s", 0.1),
    ]


def wake(owner: Person, instance: Document) -> float:
    """Seconds from a visitor's request to the first byte of the app's answer."""
    began = time.monotonic()
    with owner.web.stream("GET", instance["url"]) as answer:
        took = time.monotonic() - began
        answer.read()
    assert answer.status_code == 200, answer.text
    until(lambda: owner.instance(instance["id"])["state"] == "running", 60, "it is called running")
    return took


def _bare_start() -> float:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "main.py").write_text(CHATTY["main.py"])
        port, began = free_port(), time.monotonic()
        command = ("/usr/bin/python3", "main.py")
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(command, cwd=folder, env=os.environ | {"PORT": str(port)}, **quiet)  # type: ignore[call-overload]
        try:
            until(lambda: _answers(port), 20, "the program answers", pause_s=0.005)
            return time.monotonic() - began
        finally:
            process.kill()
            process.wait()


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return connection.recv(12).endswith(b"200")
    except OSError:
        return False


def measure_idleness() -> list[Figure]:
    """With stores and a gate of the bench's own: what each step takes of all processes that have to do with it."""
    import tests.stores  # noqa: F401 - starts PostgreSQL and Redis, and names them in the environment

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "provider.settings")
    import django

    django.setup()
    from django.db import connection

    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    from tests.bench.idle_fleet import Idleness
    from tests.bench.metered_fleet import CLOUDS, Metering, closing_s
    from tests.gate.running import running

    with running("127.0.0.1:9") as gate:
        fleet = Idleness(gate, INSTANCES)
        idleness = _idleness(fleet)
        metering = Metering(fleet)
        metered = _metering(metering)
        all_used = 100 * fleet.cpu_s(lambda: fleet.write(INSTANCES), lambda: fleet.use(INSTANCES)) / WRITE_S
        all_busy = 100 * fleet.cpu_s(metering.sample, lambda: metering.next_minute(INSTANCES)) / METER_S
        month = closing_s()
    shares, both = idleness | metered, sum(idleness.values()) + sum(metered.values())
    return [
        *(Figure(f"{INSTANCES:,} instances: {name}", share, "% of a core") for name, share in shares.items()),
        Figure(f"idleness of {INSTANCES:,} instances, {BUSY:,} in use", sum(idleness.values()), "% of a core"),
        Figure(f"metering {INSTANCES:,} instances, {BUSY:,} in use", sum(metered.values()), "% of a core"),
        Figure("idleness and metering of them", both, "% of a core", 1.0),
        Figure(f"writing the last use of all {INSTANCES:,}", all_used, "% of a core"),
        Figure(f"closing a month of {CLOUDS:,} clouds", month, "s", 30.0),
        Figure(f"counting all {INSTANCES:,} at work", all_busy, "% of a core"),
    ]


def _idleness(fleet: "Idleness") -> dict[str, float]:
    """{what is done: per cent of a core}."""
    in_use = partial(fleet.use, BUSY)
    steps = {
        "reading the proxy's table": (fleet.read, READ_S, in_use),
        "writing the last use": (partial(fleet.write, BUSY), WRITE_S, in_use),
        "looking for drains": (fleet.poll, POLL_S, None),
        "looking for idle ones": (fleet.look, LOOK_S, None),
        "finishing drains": (fleet.finish, FINISH_S, None),
    }
    shares = {name: 100 * fleet.cpu_s(step, before) / period_s for name, (step, period_s, before) in steps.items()}
    # Whoever writes has read: that is counted already.
    shares["writing the last use"] -= shares["reading the proxy's table"] * READ_S / WRITE_S
    return shares


def _metering(metering: "Metering") -> dict[str, float]:
    """As `_idleness`. All run, and the busy ones use the processor; when what has changed little is written has settled."""
    for _ in range(SETTLING_MINUTES):
        metering.next_minute(BUSY)
        metering.sample()
    next_minute = partial(metering.next_minute, BUSY)
    steps = {
        "reading and writing what went through the gate": (metering.gate, next_minute),
        "reading what kubelets say, and writing it": (metering.sample, next_minute),
        "dropping old counters": (metering.prune, None),
    }
    return {name: 100 * metering.fleet.cpu_s(step, before) / METER_S for name, (step, before) in steps.items()}
