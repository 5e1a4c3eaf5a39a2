"""How long `make up` takes in a fresh clone and again, and what the idle stack costs."""

import time
from pathlib import Path

from tests.bench.table import Figure
from tests.journey.stack import Stack, all_processes, until

COLD_LIMIT_S, WARM_LIMIT_S, IDLE_LIMIT_MB = 180, 15, 700
SETTLED_MB = 2


def started(stack: Stack) -> float:
    """Seconds from `make up` to a healthy answer."""
    began = time.monotonic()
    stack.launch(["make", "up", f"ARGS={' '.join(stack.options)}"])
    stack.wait_until_well()
    return time.monotonic() - began


def cold(stack: Stack) -> Figure:
    """A clone without an environment and an empty home; packages come from wherever pip finds them."""
    figure = Figure("cold `make up` to healthy", started(stack), "s", COLD_LIMIT_S)
    stack.wait_for_catalog()
    return figure


def warm(stack: Stack) -> Figure:
    stack.stop()
    return Figure("warm `make up` to healthy", started(stack), "s", WARM_LIMIT_S)


def idle(stack: Stack) -> list[Figure]:
    """Proportional set size of everything, once it no longer moves."""
    seen = [pss_mb(stack)]

    def settled() -> bool:
        seen.append(pss_mb(stack))
        return abs(seen[-1] - seen[-2]) < SETTLED_MB

    until(settled, 60, "an idle stack whose memory does not move", pause_s=3)
    return [
        Figure("idle stack, sum of PSS", seen[-1], "MB", IDLE_LIMIT_MB),
        Figure("processes of the idle stack", len(everything(stack)), ""),
    ]


def everything(stack: Stack) -> set[int]:
    """The supervisor and all below it: PostgreSQL's own processes, for one, overwrite the environment that marks ours."""
    found = {stack.supervisor, *stack.processes()}
    parents = {pid: _parent(pid) for pid in all_processes()}
    while below := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= below
    return found


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])
    except OSError:  # it ended meanwhile
        return 0


def pss_mb(stack: Stack) -> float:
    return sum(_pss_kb(pid) for pid in everything(stack)) / 1000


def _pss_kb(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:  # it ended meanwhile
        return 0
    return next((float(line.split()[1]) * 1.024 for line in text.splitlines() if line.startswith("Pss:")), 0)
