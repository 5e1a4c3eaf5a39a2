"""Root file systems as container images, without a registry or a builder: one layer, imported into the node."""

import hashlib
import io
import json
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from k8s.testbed.place import PAUSE_IMAGE, Place

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PAUSE = """#include <signal.h>
#include <unistd.h>
static void end(int number) { _exit(0); }
int main() { signal(SIGTERM, end); signal(SIGINT, end); for (;;) pause(); }
"""


def pack(name: str, rootfs: Path, out: Path, entrypoint: Sequence[str] = ()) -> None:
    """Write `rootfs` (an uncompressed tar) as an image archive in Docker's format to `out`."""
    with rootfs.open("rb") as content:
        layer = hashlib.file_digest(content, "sha256").hexdigest()
    config = {
        "architecture": _architecture(),
        "os": "linux",
        "config": {"Env": [_PATH], **({"Entrypoint": list(entrypoint)} if entrypoint else {})},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer}"]},
    }
    encoded = json.dumps(config, sort_keys=True).encode()
    config_name = f"{hashlib.sha256(encoded).hexdigest()}.json"
    manifest = json.dumps([{"Config": config_name, "RepoTags": [name], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(out, "w") as archive:
        for filename, data in ((config_name, encoded), ("manifest.json", manifest)):
            info = tarfile.TarInfo(filename)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        archive.add(rootfs, arcname="layer.tar")


def load(place: Place, name: str, rootfs: Path, entrypoint: Sequence[str] = ()) -> None:
    """Import `rootfs` into the node as `name`; what had the name loses it. Raises CalledProcessError."""
    with tempfile.TemporaryDirectory(dir=place.state) as folder:
        archive = Path(folder) / "image.tar"
        pack(name, rootfs, archive, entrypoint)
        subprocess.run((*place.ctr, "images", "import", str(archive)), check=True, stdout=subprocess.DEVNULL)


def present(place: Place) -> frozenset[str]:
    listed = subprocess.run((*place.ctr, "images", "ls", "-q"), check=True, capture_output=True, text=True)
    return frozenset(listed.stdout.split())


def ensure_pause(place: Place) -> None:
    """The image that holds a pod's namespaces open: one static program."""
    if PAUSE_IMAGE in present(place):
        return
    with tempfile.TemporaryDirectory(dir=place.state) as folder:
        program, rootfs = Path(folder) / "pause", Path(folder) / "rootfs.tar"
        subprocess.run(("gcc", "-static", "-Os", "-x", "c", "-o", program, "-"), input=_PAUSE, text=True, check=True)
        with tarfile.open(rootfs, "w") as tar:
            tar.add(program, arcname="pause")
        load(place, PAUSE_IMAGE, rootfs, ["/pause"])


def _architecture() -> str:
    return subprocess.run(("dpkg", "--print-architecture"), check=True, capture_output=True, text=True).stdout.strip()
