"""`python -m tests.tenants.action_workers CLOCK_FILE ADDRESS`: forks workers on demand, to be killed.

Each line on its standard input is one more worker, whose pid is answered. Forking costs milliseconds, starting Django
anew a second. What they do is what the provider's worker does at each word of beat's, by a clock in a file.
"""

import mmap
import os
import signal
import struct
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import django

WORKERS_AT_ONCE = 3
LOOK_AGAIN_S = 0.05  # in place of beat's five seconds


class FileClock:
    """Eight bytes in a file that all processes see: seconds of the epoch."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._bytes = mmap.mmap(file.fileno(), 8)

    def __call__(self) -> datetime:
        return datetime.fromtimestamp(struct.unpack("d", self._bytes[:8])[0], tz=UTC)

    def set(self, now: datetime) -> None:
        self._bytes[:8] = struct.pack("d", now.timestamp())


def work(clock: FileClock) -> None:
    from tenants.reconcile import actions
    from tenants.reconcile.dispatch import Dispatcher

    actions.KEPT_RUNS = 1_000_000  # the whole month is looked at afterwards
    dispatcher = Dispatcher(lambda _: None, clock, WORKERS_AT_ONCE, linger_s=30)
    while True:
        before = clock()
        dispatcher.look()
        rested = time.monotonic() + LOOK_AGAIN_S
        while clock() == before and time.monotonic() < rested:
            time.sleep(0.002)


def main() -> None:
    django.setup()
    from django.conf import settings

    clock, settings.ACTIONS_ADDR = FileClock(Path(sys.argv[1])), sys.argv[2]
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            work(clock)
        print(child, flush=True)


if __name__ == "__main__":
    main()
