"""What `make test-cluster` runs: the lane of tests that need a real Kubernetes. Arguments go to pytest.

`--if-possible` (what `make test` says) is content with saying why not, where no such cluster can be had; in CI it fails.
"""

import os
import signal
import subprocess
import sys
import time

from k8s.testbed import building, node
from k8s.testbed.daemons import Daemons
from k8s.testbed.place import here

LANE = ("tests/contract", "tests/kubernetes")
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
        _say(f"the cluster is up after {time.monotonic() - began:.0f} s")
        return _test(kubeconfig, arguments)
    finally:
        if not ran_already:  # somebody else's, who still wants it
            node.down(place)


def _test(kubeconfig: str, arguments: list[str]) -> int:
    environment = {**os.environ, "KUBECONFIG": kubeconfig, "FREEHOLD_TEST_LANE": "kubernetes"}
    chosen = arguments or LANE
    return subprocess.run((sys.executable, "-m", "pytest", *chosen), env=environment).returncode


def _say(what: str) -> None:
    print(f"== Kubernetes lane: {what}", flush=True)  # noqa: T201 - for whoever watches the suite


if __name__ == "__main__":
    sys.exit(main())
