"""What `make test-cluster` runs: the lane of tests that need a real Kubernetes. Arguments go to pytest."""

import os
import subprocess
import sys
from pathlib import Path

from k8s.testbed import node
from k8s.testbed.daemons import Daemons
from k8s.testbed.place import here

LANE = ("tests/contract", "tests/kubernetes")
_BUILD = Path(node.__file__).with_name("build")


def main() -> int:
    if os.environ.get("KUBECONFIG"):
        return _test(os.environ["KUBECONFIG"])
    place = here()
    ran_already = place.state.is_dir() and Daemons(place.state).running("kubelet")
    if subprocess.run((str(_BUILD),), stdout=subprocess.DEVNULL).returncode:
        return 1
    try:
        return _test(str(node.up(place)))
    finally:
        if not ran_already:  # somebody else's, who still wants it
            node.down(place)


def _test(kubeconfig: str) -> int:
    environment = {**os.environ, "KUBECONFIG": kubeconfig, "FREEHOLD_TEST_LANE": "kubernetes"}
    chosen = sys.argv[1:] or LANE
    return subprocess.run((sys.executable, "-m", "pytest", *chosen), env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
