"""Everything that the testbed needs before it can start, once per machine."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

from k8s.testbed import runtime_images
from k8s.testbed.place import Place

_BUILD = Path(__file__).with_name("build")


def impossible() -> str:
    """Why this machine cannot have a testbed, or nothing."""
    if os.geteuid():
        return "a cluster of this machine's own needs root"
    if not shutil.which("apt-get"):
        return "a cluster of this machine's own is built from Debian's packages, and here is no apt-get"
    return ""


def build(place: Place) -> None:
    """Kubernetes, and beside it the root file systems of the runtime images: one keeps the processors busy, the other
    the network. Seconds where all is there. Raises SystemExit.
    """
    why = impossible()
    if why:
        raise SystemExit(f"testbed: {why}: set KUBECONFIG to use another")
    if subprocess.run((str(_BUILD), "--packages")).returncode:
        raise SystemExit("testbed: Debian's packages could not be installed (see above)")
    building = subprocess.Popen((str(_BUILD),), stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        runtime_images.systems(place)
        if building.wait():
            raise SystemExit("testbed: Kubernetes could not be built (see above)")
    finally:
        if building.poll() is None:
            os.killpg(building.pid, signal.SIGTERM)
            building.wait()
