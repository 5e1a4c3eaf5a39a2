"""Groups of tests beside each other, for most of their time goes by waiting: each a folder or file, in its own pytest.

tests.stores gives each its own home, ports and databases, so they share nothing but the machine.

What fails is tried once more, in a new process and by itself, and both tries are shown: two cores that were busy elsewhere
for a moment are no defect, and one that is there the second time too is. Many failures are not tried again.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

_SOME_FAILED = 1  # pytest's exit code
_FEW = 5


@dataclass(frozen=True)
class Outcome:
    """failed: the ids of tests, or the group itself where pytest came to none."""

    group: str
    failed: tuple[str, ...]


def run(
    groups: Iterable[str], at_once: int, say: Callable[[str], None], environment: Mapping[str, str] | None = None
) -> list[Outcome]:
    """In this order as far as `at_once` allows. The output of each goes to `say` as one piece when it is over."""
    pool = ThreadPoolExecutor(at_once)
    try:
        return list(pool.map(lambda group: _one(group, say, environment), groups))
    finally:
        pool.shutdown(cancel_futures=True)  # who is interrupted begins no more


def judged(
    outcomes: Iterable[Outcome], say: Callable[[str], None], environment: Mapping[str, str] | None = None
) -> int:
    """The exit code, after a second try of the few that failed."""
    failed = [test for outcome in outcomes for test in outcome.failed]
    if not failed:
        say("everything passed")
        return 0
    say("\n  ".join(["failed, see above:", *failed]))
    if len(failed) > _FEW:
        return 1
    say("once more, by themselves")
    code = subprocess.run((sys.executable, "-m", "pytest", *failed), env=environment).returncode
    say("\n  ".join(["failed again, one or more of:" if code else "passed this time:", *failed]))
    return code


def _one(group: str, say: Callable[[str], None], environment: Mapping[str, str] | None) -> Outcome:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="freehold-pytest-") as cache:
        done = subprocess.run(
            (sys.executable, "-m", "pytest", "-q", "-o", f"cache_dir={cache}", group),
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
        )
        say(f"{group}, {time.monotonic() - began:.0f} s\n{done.stdout}")
        return Outcome(group, _failed(group, done.returncode, Path(cache) / "v/cache/lastfailed"))


def _failed(group: str, code: int, noted: Path) -> tuple[str, ...]:
    if code == 0:
        return ()
    return tuple(json.loads(noted.read_text())) if code == _SOME_FAILED and noted.exists() else (group,)
