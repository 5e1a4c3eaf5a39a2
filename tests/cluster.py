"""What `make test-cluster` runs: the lane of tests that need a real Kubernetes. Arguments go to pytest.

Without arguments files run beside each other, for most of their time goes by waiting for pods. Those that stop the cluster's
own programs come last and alone.

`--if-possible` (what `make test` says) is content with saying why not, where no such cluster can be had; in CI it fails.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from k8s.testbed import building, node, runtime_images
from k8s.testbed.daemons import Daemons
from k8s.testbed.place import here
from tests import beside

LANE = ("tests/contract", "tests/kubernetes")
ALONE = ("tests/contract/test_crashes.py",)
_BESIDE_EACH_OTHER = 2  # a third makes kubelets of two cores late
_IF_POSSIBLE = "--if-possible"


def main() -> int:
    arguments = [word for word in sys.argv[1:] if word != _IF_POSSIBLE]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    if os.environ.get("KUBECONFIG"):
        return _test(os.environ["KUBECONFIG"], arguments)
    why = building.impossible()
    if why and _IF_POSSIBLE in sys.argv and not os.environ.get("CI"):
        _say(f"skipped: {why}, and KUBECONFIG names no other")
        return 0
    place = here()
    ran_already = place.state.is_dir() and Daemons(place.state).running("kubelet")
    began = time.monotonic()
    building.build(place)
    try:
        kubeconfig = str(node.up(place))
        runtime_images.ensure(place)
        _say(f"the cluster is up after {time.monotonic() - began:.0f} s")
        return _test(kubeconfig, arguments)
    finally:
        if not ran_already:  # somebody else's, who still wants it
            node.down(place)


def _test(kubeconfig: str, arguments: list[str]) -> int:
    environment = {**os.environ, "KUBECONFIG": kubeconfig, "FREEHOLD_TEST_LANE": "kubernetes"}
    if arguments:
        return subprocess.run((sys.executable, "-m", "pytest", *arguments), env=environment).returncode
    files = [str(file) for folder in LANE for file in sorted(Path(folder).glob("test_*.py"))]
    together = [file for file in files if file not in ALONE]
    outcomes = beside.run(together, _BESIDE_EACH_OTHER, _say, environment) + beside.run(ALONE, 1, _say, environment)
    return beside.judged(outcomes, _say, environment)


def _say(what: str) -> None:
    print(f"== Kubernetes lane: {what}", flush=True)  # noqa: T201 - for whoever watches the suite


if __name__ == "__main__":
    sys.exit(main())
