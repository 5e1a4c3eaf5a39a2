"""Clone what is committed, start it cold, start it warm, measure, stop.

`publishing`, `gate`, `sleeping`, `desk`: only that, from this checkout. `cluster`: what clouds on a Kubernetes cost.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench import data, installing, pages, publishing, sleeping, start
from tests.bench.table import Figure, keep, show
from tests.journey.people import Person
from tests.journey.stack import SOURCE, Stack

RESULT = SOURCE / "var" / "bench.json"


def main() -> int:
    """Exit code 1 when a figure is over its limit."""
    parser = argparse.ArgumentParser(
        prog="make bench", description="Measure a whole Freehold on this machine, or clouds on a Kubernetes."
    )
    parser.add_argument(
        "section",
        nargs="?",
        choices=["machine", "publishing", "cluster", "gate", "sleeping", "desk"],
        default="machine",
    )
    parser.add_argument("--skip-cold", action="store_true", help="use this checkout's environment, not a fresh clone's")
    arguments = parser.parse_args()
    if arguments.section == "cluster":
        from tests.bench import cluster  # needs what `make test-cluster` builds

        figures, result = cluster.measure(), RESULT.with_name("bench-cluster.json")
    elif arguments.section == "gate":
        from tests.bench import gate  # starts stores of its own

        figures, result = gate.measure(), RESULT.with_name("bench-gate.json")
    elif arguments.section == "desk":
        from tests.bench import desk  # starts stores of its own

        figures, result = desk.measure(), RESULT.with_name("bench-desk.json")
    elif arguments.section == "sleeping":
        figures, result = _sleeping(), RESULT.with_name("bench-sleeping.json")
    elif arguments.section == "publishing":
        figures, result = _publishing(), RESULT.with_name("bench-publishing.json")
    else:
        figures, result = measure(with_cold=not arguments.skip_cold), RESULT
    keep(figures, result)
    show(figures)
    return int(any(figure.ratio is not None and figure.ratio > 1 for figure in figures))


def measure(*, with_cold: bool) -> list[Figure]:
    folder = Path(tempfile.mkdtemp(prefix="freehold-bench-"))
    stack = Stack(folder / "home", _clone(folder) if with_cold else SOURCE)
    try:
        first = start.cold(stack)  # without a fresh clone this only fills the home
        figures = [first] if with_cold else []
        figures += [start.warm(stack), *start.idle(stack)]
        someone = Person(stack, "bench")
        figures += installing.measure(someone)
        figures += publishing.measure(stack, someone)
        figures += pages.measure(stack, someone)
        figures += sleeping.measure(someone)
    finally:
        stack.stop()
        shutil.rmtree(folder, ignore_errors=True)
    from tests.bench import desk, gate  # start stores of their own

    return figures + data.measure() + gate.measure() + desk.measure()


def _publishing() -> list[Figure]:
    folder = Path(tempfile.mkdtemp(prefix="freehold-bench-"))
    stack = Stack(folder / "home")
    try:
        start.started(stack)
        return publishing.measure(stack, Person(stack, "bench"))
    finally:
        stack.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _sleeping() -> list[Figure]:
    folder = Path(tempfile.mkdtemp(prefix="freehold-bench-"))
    stack = Stack(folder / "home")
    try:
        start.started(stack)
        figures = sleeping.measure(Person(stack, "bench"))
    finally:
        stack.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return figures + sleeping.measure_idleness()


def _clone(folder: Path) -> Path:
    subprocess.run(["git", "clone", "-q", str(SOURCE), str(folder / "clone")], check=True)
    return folder / "clone"


if __name__ == "__main__":
    sys.exit(main())
