"""The gate beside proxies that only pass requests on, in turns; and with 100,000 instances in its maps.

`python -m tests.bench gate` measures only this. wrk, the apps and every proxy share this machine's cores.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import tests.stores  # noqa: F401 - starts PostgreSQL and Redis, and names them in the environment
from tests.bench import proxies
from tests.bench.echo import echoes
from tests.bench.load import Load, load
from tests.bench.table import Figure, median

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "provider.settings")

ROUNDS, ROUND_S = 5, 2
CONNECTIONS = 16
INSTANCES = 100_000
CHANGES = 20
# Limits are not what is measured here.
UNLIMITED = {
    "FREEHOLD_GATE_ASK_RATE": "1000000000",
    "FREEHOLD_GATE_LIMITS": "small:1000000000/9999,standard:1000000000/9999,large:1000000000/9999",
}
T = TypeVar("T")


@dataclass(frozen=True)
class Variant:
    port: int
    headers: Mapping[str, str]
    refused: bool = False
    method: str = "GET"

    def load(self, connections: int) -> Load:
        return load(
            self.port,
            self.headers,
            connections=connections,
            seconds=ROUND_S,
            method=self.method,
            refused=self.refused,
        )

    def echoes(self) -> float:
        host = self.headers.get("Host", "somewhere")
        headers = {"Host": host, "Origin": f"http://{host}"} | self.headers
        return echoes(self.port, headers, connections=CONNECTIONS, seconds=ROUND_S)


def measure() -> list[Figure]:
    import django

    django.setup()
    from django.db import connection

    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    from tests.bench.gate_rows import Fleet
    from tests.gate.running import running

    with tempfile.TemporaryDirectory(prefix="freehold-bench-gate-") as scratch, ExitStack() as stack:
        folder = Path(scratch)
        app, talker = stack.enter_context(proxies.upstream(folder)), stack.enter_context(proxies.echo(folder))
        gate = stack.enter_context(running(app, **UNLIMITED))
        fleet, port = Fleet(gate, app), gate.http.port
        plain = Variant(stack.enter_context(proxies.plain(folder, app)), {})
        owner, anybody = Variant(port, fleet.owner()), fleet.anybody()
        asking = Variant(port, anybody, refused=True)
        in_lua = Variant(port, anybody, refused=True, method="POST")
        caddy = Variant(stack.enter_context(proxies.caddy(folder, app)), {})
        figures = _throughput(
            {"plain": plain, "Caddy": caddy, "owner": owner, "asking": asking, "asking in Lua": in_lua}
        )
        few = _latency(plain, owner)
        fleet.move_to(talker)
        figures += [*few, *_talking(Variant(stack.enter_context(proxies.plain(folder, talker)), {}), owner)]
        fleet.move_to(app)
        fleet.grow(INSTANCES)
        many = _latency(plain, owner)
        figures += [
            Figure(f"Gate with {INSTANCES:,} instances, p50 over plain", many[0].value, "ms", 0.05),
            Figure(f"Gate with {INSTANCES:,} instances, p99 over plain", many[1].value, "ms", 1),
            Figure(f"Gate with {INSTANCES:,} instances, resident", gate.resident_kb() / 1024, "MB", 110),
            Figure("A change until the gate has it, slowest", max(_changes(fleet.move_to, app, talker)), "s", 0.5),
        ]
        return figures


def _throughput(variants: Mapping[str, Variant]) -> list[Figure]:
    seen = _in_turns({name: lambda one=one: one.load(CONNECTIONS).per_s for name, one in variants.items()})  # type: ignore[misc]
    figures = [
        Figure(f"Gate at {CONNECTIONS} connections: {name}", median(rates), "/s") for name, rates in seen.items()
    ]
    return [
        *figures,
        Figure("plain HAProxy / signed-in owner", _ratio(seen, "plain", "owner"), "×", 1 / 0.8),
        Figure("plain Caddy / signed-in owner", _ratio(seen, "Caddy", "owner"), "×", 1 / 1.3),
        Figure("plain HAProxy / decisions asked for", _ratio(seen, "plain", "asking"), "×", 1 / 0.3),
        Figure("plain HAProxy / decisions asked for in Lua", _ratio(seen, "plain", "asking in Lua"), "×", 1 / 0.3),
    ]


def _latency(plain: Variant, owner: Variant) -> list[Figure]:
    """At one connection, round by round: what the gate takes longer."""
    seen = _in_turns({"plain": lambda: plain.load(1), "owner": lambda: owner.load(1)})
    pairs = list(zip(seen["owner"], seen["plain"], strict=True))
    return [
        Figure("Gate at 1 connection, p50 over plain", median([a.p50_ms - b.p50_ms for a, b in pairs]), "ms", 0.05),
        Figure("Gate at 1 connection, p99 over plain", median([a.p99_ms - b.p99_ms for a, b in pairs]), "ms", 1),
    ]


def _talking(plain: Variant, owner: Variant) -> list[Figure]:
    seen = _in_turns({"plain": plain.echoes, "owner": owner.echoes})
    return [
        Figure("WebSocket messages through the gate", median(seen["owner"]), "/s"),
        Figure("WebSocket, plain HAProxy / gate", _ratio(seen, "plain", "owner"), "×", 1 / 0.9),
    ]


def _changes(move_to: Callable[[str], None], one: str, other: str) -> list[float]:
    """Seconds from before the commit until the proxy's map has it."""
    taken = []
    for number in range(CHANGES):
        began = time.monotonic()
        move_to((other, one)[number % 2])
        taken.append(time.monotonic() - began)
    return taken


def _in_turns(measured: Mapping[str, Callable[[], T]]) -> dict[str, list[T]]:
    """Every round measures each once, so that what else the machine does hits all."""
    seen: dict[str, list[T]] = {name: [] for name in measured}
    for _ in range(ROUNDS):
        for name, one in measured.items():
            seen[name].append(one())
    return seen


def _ratio(seen: Mapping[str, list[float]], one: str, other: str) -> float:
    return statistics.median(a / b for a, b in zip(seen[one], seen[other], strict=True))
