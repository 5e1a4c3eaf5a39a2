"""The runtime images on the testbed's node: Debian's packages by mmdebstrap (kept), our own files on top, no registry."""

import hashlib
import json
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path

from k8s.runtimes.images.contents import IMAGES, PASSWD, Image, bundled_uv, digest, stage
from k8s.testbed import images
from k8s.testbed.place import Place

_SUITE = "bookworm"


def ensure(place: Place, names: Iterable[str] = tuple(IMAGES)) -> dict[str, str]:
    """Import what is missing → {runtime: image name}. Names carry a digest of the content: a change is another image."""
    there = images.present(place)
    return {name: _ensure_one(place, IMAGES[name], there) for name in names}


def _ensure_one(place: Place, image: Image, there: frozenset[str]) -> str:
    system = _system(place, image)
    with tempfile.TemporaryDirectory(dir=place.state) as folder:
        context = Path(folder) / "context"
        stage(image, context, bundled_uv())
        name = f"docker.io/freehold/{image.name}:{system.stem[-12:]}-{digest(context)}"
        if name in there:
            return name
        ours = Path(folder) / "freehold.tar"
        with tarfile.open(ours, "w") as tar:
            tar.add(context / "freehold", "opt/freehold", filter=_owned_by_root)
        images.load(place, name, [system, ours])
    return name


def _system(place: Place, image: Image) -> Path:
    """A tar of Debian with the image's packages; made once per list of packages (about 20 s for Python's)."""
    recipe = hashlib.sha256(json.dumps([_SUITE, PASSWD, *image.packages]).encode()).hexdigest()[:12]
    file = place.programs.parent.parent / "rootfs" / f"{image.name}-{recipe}.tar"
    if file.exists():
        return file
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".draft.tar")
    user = f"echo '{PASSWD}' >> \"$1/etc/passwd\""
    options = ("--variant=essential", f"--include={','.join(image.packages)}", f"--customize-hook={user}")
    done = subprocess.run(("mmdebstrap", *options, _SUITE, str(draft)), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"testbed: mmdebstrap for {image.name}: {done.stderr.strip()[-2000:]}")
    draft.rename(file)
    return file


def _owned_by_root(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = "root"
    return info
