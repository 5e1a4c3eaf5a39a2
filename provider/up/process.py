"""One row of the process table."""

import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

# Returns "" when the process answers as it should, else a sentence fragment that says what is wrong. Raises OSError
# freely (that is "no answer"). The argument is the time (epoch seconds) at which the process was started.
Probe = Callable[[float], Awaitable[str]]

SETTLED_S = 1.0


async def runs(started_at: float) -> str:
    """For a process that nobody can ask: being there for a while is all that is known."""
    return "" if time.time() - started_at > SETTLED_S else "just started"


@dataclass(frozen=True)
class Process:
    """How to start, ask and stop one process.

    after: names that must have been ready once before this one starts.
    once: runs to its end instead of staying; ready when it exits with 0.
    essential: the whole start is given up when it does not become ready in time.
    keeps_children: its children outlive it on purpose (the node agent's instances) and are left alone when it dies.
    before_stop: asked first when everything stops, not when the process alone is restarted.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    probe: Probe = runs
    after: tuple[str, ...] = ()
    once: bool = False
    essential: bool = False
    stop_signal: signal.Signals = signal.SIGTERM
    stop_timeout_s: float = 10.0
    ready_timeout_s: float = 60.0
    keeps_children: bool = False
    before_stop: Callable[[], Awaitable[None]] | None = None
