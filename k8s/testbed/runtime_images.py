"""The runtime images on the testbed's node: Debian's packages by mmdebstrap (kept), our own files on top, no registry."""

import hashlib
import json
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path

from k8s.runtimes.images.contents import IMAGES, PASSWD, Image, bundled_uv, digest, stage
from k8s.testbed import images
from k8s.testbed.images import Layer
from k8s.testbed.place import Place

_SUITE = "bookworm"
# What nobody reads in a container, as Debian's own slim images have it, and Go's tests of itself.
_LEFT_OUT = (
    *("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*"),
    *("/usr/share/go-*/test/*", "/usr/share/go-*/api/*"),
)


def ensure(place: Place, names: Iterable[str] = tuple(IMAGES)) -> dict[str, str]:
    """Import what is missing → {runtime: image name}. Names carry a digest of the content: a change is another image.

    Debian's part is an image of its own that is imported once; after a change of ours only our files travel.
    """
    there = images.present(place)
    return {name: _ensure_one(place, IMAGES[name], there) for name in names}


def systems(place: Place, names: Iterable[str] = tuple(IMAGES)) -> None:
    """Make the root file systems, which needs the network and no cluster."""
    for name in names:
        _system(place, IMAGES[name])


def _ensure_one(place: Place, image: Image, there: frozenset[str]) -> str:
    with tempfile.TemporaryDirectory(dir=place.state) as folder:
        context = Path(folder) / "context"
        stage(image, context, bundled_uv())
        name = f"docker.io/freehold/{image.name}:{_recipe(image)}-{digest(context)}"
        if name in there:
            return name
        ours = Path(folder) / "freehold.tar"
        with tarfile.open(ours, "w") as tar:
            tar.add(context / "freehold", "opt/freehold", filter=_owned_by_root)
        system = _system(place, image)
        base = f"docker.io/freehold/{image.name}-base:{_recipe(image)}"
        if base not in there:
            images.load(place, base, [system])
        images.load(place, name, [system, Layer.of(ours)])
    return name


def _recipe(image: Image) -> str:
    return hashlib.sha256(json.dumps([_SUITE, PASSWD, *image.packages, *_LEFT_OUT]).encode()).hexdigest()[:12]


def _system(place: Place, image: Image) -> Layer:
    """A tar of Debian with the image's packages; made once per list of packages (about 20 s for Python's)."""
    file = place.programs.parent.parent / "rootfs" / f"{image.name}-{_recipe(image)}.tar"
    noted = file.with_suffix(".sha256")  # written last; reading 1.5 GB to know them costs seconds
    if file.exists() and noted.exists():
        return Layer(file, noted.read_text())
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(f".{os.getpid()}.tar")
    user = f"echo '{PASSWD}' >> \"$1/etc/passwd\""
    options = [f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT]
    options += ["--variant=essential", f"--include={','.join(image.packages)}", f"--customize-hook={user}"]
    done = subprocess.run(("mmdebstrap", *options, _SUITE, str(draft)), capture_output=True, text=True)
    if done.returncode:
        draft.unlink(missing_ok=True)
        raise SystemExit(f"testbed: mmdebstrap for {image.name}: {done.stderr.strip()[-2000:]}")
    draft.rename(file)
    layer = Layer.of(file)
    noted.write_text(layer.digest)
    return layer


def _owned_by_root(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = "root"
    return info
