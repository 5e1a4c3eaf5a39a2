"""The gate beside proxies that only pass requests on, in turns; and with 100,000 instances in its maps.

`python -m tests.bench gate` measures only this. wrk, the app and every proxy share this machine's cores.
"""

import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import tests.stores  # noqa: F401 - starts PostgreSQL and Redis, and names them in the environment
from tests.bench import proxies
from tests.bench.load import Load, load
from tests.bench.table import Figure, median

ROUNDS, ROUND_S = 5, 2
CONNECTIONS = 16
INSTANCES = 100_000
T = TypeVar("T")


@dataclass(frozen=True)
class Variant:
    port: int
    headers: Mapping[str, str]
    path: str = "/"

    def load(self, connections: int) -> Load:
        return load(self.port, self.headers, connections=connections, seconds=ROUND_S, path=self.path)


def measure() -> list[Figure]:
    import django

    django.setup()
    from django.db import connection

    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    from tests.bench.gate_rows import Fleet
    from tests.gate.running import running

    with tempfile.TemporaryDirectory(prefix="freehold-bench-gate-") as scratch, ExitStack() as stack:
        folder = Path(scratch)
        address = stack.enter_context(proxies.upstream(folder))
        # The limits are not what is measured.
        gate = stack.enter_context(running(address, FREEHOLD_GATE_ASK_RATE="100000000"))
        fleet = Fleet(gate, address)
        variants = {
            "plain": Variant(stack.enter_context(proxies.plain(folder, address)), {}),
            "caddy": Variant(stack.enter_context(proxies.caddy(folder, address)), {}),
            "owner": Variant(gate.http.port, fleet.owner()),
            "asking": Variant(gate.http.port, fleet.anybody(), "/open/page"),
        }
        few = _latency(variants)
        return [*_throughput(variants), *few]


def _throughput(variants: Mapping[str, Variant]) -> list[Figure]:
    seen = _in_turns({name: lambda one=one: one.load(CONNECTIONS).per_s for name, one in variants.items()})
    p = {name: median(rates) for name, rates in seen.items()}
    figures = [Figure(f"Gate at {CONNECTIONS} connections: {name}", rate, "/s") for name, rate in p.items()]
    return [
        *figures,
        Figure("plain / owner", _ratio(seen, "plain", "owner"), "×", 1 / 0.8),
        Figure("Caddy / owner", _ratio(seen, "caddy", "owner"), "×", 1 / 1.3),
        Figure("plain / asking", _ratio(seen, "plain", "asking"), "×", 1 / 0.3),
    ]


def _latency(variants: Mapping[str, Variant]) -> list[Figure]:
    seen = _in_turns(
        {name: lambda one=one: one.load(1) for name, one in variants.items() if name in ("plain", "owner")}
    )
    p50 = [ours.p50_ms - theirs.p50_ms for ours, theirs in zip(seen["owner"], seen["plain"], strict=True)]
    p99 = [ours.p99_ms - theirs.p99_ms for ours, theirs in zip(seen["owner"], seen["plain"], strict=True)]
    return [
        Figure("Gate at 1 connection, p50 over plain", median(p50), "ms", 0.05),
        Figure("Gate at 1 connection, p99 over plain", median(p99), "ms", 1),
    ]


def _in_turns(measured: Mapping[str, Callable[[], T]]) -> dict[str, list[T]]:
    """Every round measures each once, so that what else the machine does hits all."""
    seen: dict[str, list[T]] = {name: [] for name in measured}
    for _ in range(ROUNDS):
        for name, one in measured.items():
            seen[name].append(one())
    return seen


def _ratio(seen: Mapping[str, list[float]], one: str, other: str) -> float:
    return median([a / b for a, b in zip(seen[one], seen[other], strict=True)])
