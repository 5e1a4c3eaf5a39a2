"""Groups of tests beside each other, for most of their time goes by waiting: each a folder or file, in its own pytest.

tests.stores gives each its own home, ports and databases, so they share nothing but the machine.
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
