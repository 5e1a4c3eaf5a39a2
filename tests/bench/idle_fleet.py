"""Ten thousand instances that a gate counts, and the steps by which their idleness is known."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
from django.db import connection

from provider.gate.drains import USE_EVERY_S, Sleepers
from tenants.models import Instance, Plan
from tenants.services import sleeping, waking
from tests.bench.gate_rows import Fleet
from tests.gate.running import Gate

TICKS = os.sysconf("SC_CLK_TCK")
TIMES = 20
AT_ONCE = 100


class Idleness:
    def __init__(self, gate: Gate, count: int) -> None:
        self.gate = gate
        fleet = Fleet(gate, "127.0.0.1:9")
        Plan.objects.update(sleep_after_s=900)
        Instance.objects.update(observed_generation=1)
        fleet.grow(count)
        self.ids = list(Instance.objects.values_list("pk", flat=True))
        for first in range(0, count, AT_ONCE):
            some = self.ids[first : first + AT_ONCE]
            gate.proxy._command(";".join(f"set table per_instance key {key} data.http_req_cnt 1" for key in some))
        self.database = psycopg.connect(gate.env["DATABASE_URL"], autocommit=True)
        self.sleepers = Sleepers(gate.proxy, "bench", "local")
        gate.stop("agent")  # its steps are taken here, and counted

    def use(self, number: int, requests: int = 1) -> None:
        """So many were asked for something a moment ago, the last of `requests`."""
        words = f"data.conn_rate 2 data.http_req_cnt {requests} data.bytes_out_cnt {1000 * requests}"
        for first in range(0, number, AT_ONCE):
            some = self.ids[first : min(first + AT_ONCE, number)]
            self.gate.proxy._command(";".join(f"set table per_instance key {key} {words}" for key in some))
        self.unused()

    def read(self) -> None:
        """Nothing is new."""
        self.sleepers.noted = dict.fromkeys(self.ids, time.time() + 60)
        self._tell()

    def write(self, number: int) -> None:
        """So many are in use all the time."""
        self.sleepers.noted = dict.fromkeys(self.ids[number:], time.time() + 60)
        self._tell()

    def unused(self) -> None:
        Instance.objects.exclude(last_used_at=None).update(last_used_at=None)

    def poll(self) -> None:
        self.sleepers.draining(self.database)

    def look(self) -> None:
        assert sleeping.look_for_sleepers() == 0

    def finish(self) -> None:
        sleeping.finish_drains()
        waking.go_on_waking()

    def _tell(self) -> None:
        self.sleepers.told_at = time.monotonic() - USE_EVERY_S - 1
        self.sleepers.tell_use(self.database)

    def cpu_s(self, step: Callable[[], None], before: Callable[[], None] | None = None) -> float:
        """Of this process, the proxy and PostgreSQL, for one step. before: done each time, and not counted."""
        spent = 0.0
        for _ in range(TIMES):
            (before or self.unused)()
            others = self._others()  # found anew: PostgreSQL starts processes as it likes
            began, own_began = sum(map(_used, others)), time.process_time()
            step()
            own = time.process_time() - own_began
            spent += own + sum(map(_used, others)) - began
        return spent / TIMES

    def _others(self) -> list[int]:
        return [self.gate.processes["proxy"].pid, *_below(self._postmaster())]

    def _postmaster(self) -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            (backend,) = cursor.fetchone()
        return _parent(backend)


def _below(pid: int) -> Iterator[int]:
    yield pid
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and _parent(int(folder.name)) == pid:
            yield int(folder.name)


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:  # it ended meanwhile
        return ["?", "0", *["0"] * 40]


def _parent(pid: int) -> int:
    return int(_stat(pid)[1])


def _used(pid: int) -> float:
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / TICKS
