"""What `make test` runs first: everything that needs no Kubernetes, two folders beside each other."""

import sys
from pathlib import Path

from tests import beside

# The longest, so that none of them is begun last; the rest follows. Folders, since a dear fixture is a whole folder's.
_LONG = ("journey", "gate", "tenants", "chaos", "pages", "contract", "up", "cli", "data_server", "runtimes")
_ELSEWHERE = "tests/kubernetes"  # without a cluster there is nothing in it: tests.cluster runs it
_BESIDE_EACH_OTHER = 2


def groups() -> list[str]:
    """All of tests/ that needs no cluster, each test in one of them."""
    found = {"/".join(file.parts[:2]) for file in Path("tests").rglob("test_*.py")} - {_ELSEWHERE}
    long = [f"tests/{name}" for name in _LONG]
    return [*long, *sorted(found - {*long})]


def main() -> int:
    return beside.judged(beside.run(groups(), _BESIDE_EACH_OTHER, _say), _say)


def _say(what: str) -> None:
    print(f"== suite: {what}", flush=True)  # noqa: T201 - for whoever watches the suite


if __name__ == "__main__":
    sys.exit(main())
