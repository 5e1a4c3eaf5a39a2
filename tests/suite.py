"""What `make test` runs first: everything that needs no Kubernetes, two folders beside each other.

What fails is tried once more, in a new process and by itself, and both tries are shown: two cores that were busy elsewhere
for a moment are no defect, and one that is there the second time too is. Many failures are not tried again.
"""

import subprocess
import sys
from pathlib import Path

from tests import beside

# The longest, so that none of them is begun last; the rest follows. Folders, since a dear fixture is a whole folder's.
_LONG = ("journey", "gate", "tenants", "chaos", "pages", "contract", "up", "cli", "data_server", "runtimes")
_ELSEWHERE = "tests/kubernetes"  # without a cluster there is nothing in it: tests.cluster runs it
_BESIDE_EACH_OTHER = 2
_FEW = 5


def groups() -> list[str]:
    """All of tests/ that needs no cluster, each test in one of them."""
    found = {"/".join(file.parts[:2]) for file in Path("tests").rglob("test_*.py")} - {_ELSEWHERE}
    long = [f"tests/{name}" for name in _LONG]
    return [*long, *sorted(found - {*long})]


def main() -> int:
    outcomes = beside.run(groups(), _BESIDE_EACH_OTHER, _say)
    failed = [test for outcome in outcomes for test in outcome.failed]
    if not failed:
        _say("everything passed")
        return 0
    _say("\n  ".join(["failed, see above:", *failed]))
    if len(failed) > _FEW:
        return 1
    _say("once more, by themselves")
    code = subprocess.run((sys.executable, "-m", "pytest", *failed)).returncode
    _say("\n  ".join(["failed again, one or more of:" if code else "passed this time:", *failed]))
    return code


def _say(what: str) -> None:
    print(f"== suite: {what}", flush=True)  # noqa: T201 - for whoever watches the suite


if __name__ == "__main__":
    sys.exit(main())
