"""Root file systems as container images, without a registry or a builder, imported into the node."""

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


def pack(name: str, layers: Sequence[Path], out: Path, entrypoint: Sequence[str] = ()) -> None:
    """Write `layers` (uncompressed tars, the lowest first) as an image archive in Docker's format to `out`."""
    digests = [_sha256(layer) for layer in layers]
    config = {
        "architecture": _architecture(),
        "os": "linux",
        "config": {"Env": [_PATH], **({"Entrypoint": list(entrypoint)} if entrypoint else {})},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
    }
    encoded = json.dumps(config, sort_keys=True).encode()
    config_name = f"{hashlib.sha256(encoded).hexdigest()}.json"
    names = [f"{digest}.tar" for digest in digests]
    manifest = json.dumps([{"Config": config_name, "RepoTags": [name], "Layers": names}]).encode()
    with tarfile.open(out, "w") as archive:
        for filename, data in ((config_name, encoded), ("manifest.json", manifest)):
            info = tarfile.TarInfo(filename)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for filename, layer in zip(names, layers, strict=True):
            archive.add(layer, arcname=filename)


def load(place: Place, name: str, layers: Sequence[Path], entrypoint: Sequence[str] = ()) -> None:
    """Import an image into the node as `name`; what had the name loses it. Layers that are there are not unpacked again.

    Raises CalledProcessError.
    """
    with tempfile.TemporaryDirectory(dir=place.state) as folder:
        archive = Path(folder) / "image.tar"
        pack(name, layers, archive, entrypoint)
        subprocess.run((*place.ctr, "images", "import", str(archive)), check=True, stdout=subprocess.DEVNULL)


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


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
        load(place, PAUSE_IMAGE, [rootfs], ["/pause"])


def _architecture() -> str:
    return subprocess.run(("dpkg", "--print-architecture"), check=True, capture_output=True, text=True).stdout.strip()
