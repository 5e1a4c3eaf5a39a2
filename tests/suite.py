"""What `make test` runs first: everything that needs no Kubernetes.

What fails is tried once more, in a new process and by itself, and both tries are shown: two cores that were busy elsewhere
for a moment are no defect, and one that is there the second time too is. Many failures are not tried again.
"""

import json
import subprocess
import sys
from pathlib import Path

_FEW = 5
_SOME_FAILED = 1  # pytest's exit code
_LAST_FAILED = Path(".pytest_cache/v/cache/lastfailed")


def main() -> int:
    _LAST_FAILED.unlink(missing_ok=True)
    code = _pytest()
    if code != _SOME_FAILED or len(failed := json.loads(_LAST_FAILED.read_text())) > _FEW:
        return code
    print(f"== once more, by themselves: {', '.join(failed)}", flush=True)  # noqa: T201 - for whoever watches the suite
    return _pytest(*failed)


def _pytest(*tests: str) -> int:
    return subprocess.run((sys.executable, "-m", "pytest", *tests)).returncode


if __name__ == "__main__":
    sys.exit(main())
