"""Root file systems as container images, without a registry or a builder, imported into the node."""

import hashlib
import io
import json
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from k8s.testbed.place import PAUSE_IMAGE, Place

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_OCI = "application/vnd.oci.image"
_PAUSE = """#include <signal.h>
#include <unistd.h>
static void end(int number) { _exit(0); }
int main() { signal(SIGTERM, end); signal(SIGINT, end); for (;;) pause(); }
"""


@dataclass(frozen=True)
class Layer:
    """An uncompressed tar. digest: sha256 of it, 64 hex digits."""

    file: Path
    digest: str

    @classmethod
    def of(cls, file: Path) -> "Layer":
        """Reads all of `file`."""
        with file.open("rb") as content:
            return cls(file, hashlib.file_digest(content, "sha256").hexdigest())


def pack(
    name: str, layers: Sequence[Layer], out: Path, entrypoint: Sequence[str] = (), held: Iterable[str] = ()
) -> None:
    """Write `layers` (the lowest first) as an archive in OCI's layout to `out`. held: digests that need not travel."""
    digests = [f"sha256:{layer.digest}" for layer in layers]
    config = _encoded(
        {
            "architecture": _architecture(),
            "os": "linux",
            "config": {"Env": [_PATH], **({"Entrypoint": list(entrypoint)} if entrypoint else {})},
            "rootfs": {"type": "layers", "diff_ids": digests},
        }
    )
    sizes = [layer.file.stat().st_size for layer in layers]
    manifest = _encoded(
        {
            "schemaVersion": 2,
            "mediaType": f"{_OCI}.manifest.v1+json",
            "config": _descriptor("config.v1+json", config),
            "layers": [
                {"mediaType": f"{_OCI}.layer.v1.tar", "digest": digest, "size": size}
                for digest, size in zip(digests, sizes, strict=True)
            ],
        }
    )
    named = {**_descriptor("manifest.v1+json", manifest), "annotations": {"io.containerd.image.name": name}}
    there = set(held)
    with tarfile.open(out, "w") as archive:
        _add(archive, "oci-layout", _encoded({"imageLayoutVersion": "1.0.0"}))
        _add(archive, "index.json", _encoded({"schemaVersion": 2, "manifests": [named]}))
        for blob in (config, manifest):
            _add(archive, f"blobs/sha256/{hashlib.sha256(blob).hexdigest()}", blob)
        for layer in layers:
            if f"sha256:{layer.digest}" not in there:
                archive.add(layer.file, arcname=f"blobs/sha256/{layer.digest}")


def load(place: Place, name: str, layers: Sequence[Layer], entrypoint: Sequence[str] = ()) -> None:
    """Import an image into the node as `name`; what had the name loses it. Layers that are there are not sent again.

    Raises CalledProcessError.
    """
    with tempfile.TemporaryDirectory(dir=place.state) as folder:
        archive = Path(folder) / "image.tar"
        pack(name, layers, archive, entrypoint, held=_output(place, "content", "ls", "-q"))
        subprocess.run((*place.ctr, "images", "import", str(archive)), check=True, stdout=subprocess.DEVNULL)


def present(place: Place) -> frozenset[str]:
    return _output(place, "images", "ls", "-q")


def name_by_digest(place: Place, name: str) -> str:
    """Give the image `name` (with a tag) the name "repository@sha256:…" too, as if it had been pulled by its digest."""
    listed = subprocess.run((*place.ctr, "images", "ls", f"name=={name}"), check=True, capture_output=True, text=True)
    digest = next(word for word in listed.stdout.split() if word.startswith("sha256:"))
    named = f"{name.rpartition(':')[0]}@{digest}"
    if named not in present(place):
        subprocess.run((*place.ctr, "images", "tag", name, named), check=True, capture_output=True)
    return named


def ensure_pause(place: Place) -> None:
    """The image that holds a pod's namespaces open: one static program."""
    if PAUSE_IMAGE in present(place):
        return
    with tempfile.TemporaryDirectory(dir=place.state) as folder:
        program, rootfs = Path(folder) / "pause", Path(folder) / "rootfs.tar"
        subprocess.run(("gcc", "-static", "-Os", "-x", "c", "-o", program, "-"), input=_PAUSE, text=True, check=True)
        with tarfile.open(rootfs, "w") as tar:
            tar.add(program, arcname="pause")
        load(place, PAUSE_IMAGE, [Layer.of(rootfs)], ["/pause"])


def _encoded(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True).encode()


def _descriptor(kind: str, blob: bytes) -> dict[str, Any]:
    return {"mediaType": f"{_OCI}.{kind}", "digest": f"sha256:{hashlib.sha256(blob).hexdigest()}", "size": len(blob)}


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


def _output(place: Place, *arguments: str) -> frozenset[str]:
    listed = subprocess.run((*place.ctr, *arguments), check=True, capture_output=True, text=True)
    return frozenset(listed.stdout.split())


def _architecture() -> str:
    return subprocess.run(("dpkg", "--print-architecture"), check=True, capture_output=True, text=True).stdout.strip()
