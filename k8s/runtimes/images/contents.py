"""What runtime images are made of, described once: Debian packages (`<image>.packages`) and what lies in /opt/freehold.

`stage` writes it as a folder that `podman build` takes as it is, and that the testbed packs without any builder.
"""

import hashlib
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from k8s.local.sandbox_bwrap import PYTHON_NAMES
from k8s.runtimes.python.prepare import prepare

_HERE = Path(__file__).resolve().parent
_RUNTIMES = _HERE.parent
_PROJECT = _RUNTIMES.parent.parent
# What the launcher shares with us: how bundles are unpacked and packed.
_LIBRARY = (
    "k8s/__init__.py",
    "k8s/errors.py",
    "k8s/local/__init__.py",
    "k8s/local/artifacts.py",
    "k8s/local/deflating.py",
)
USER = 10001  # manifests run every container as this user; some programs fail for one without a name

_CONTAINERFILE = """FROM debian:bookworm-slim
COPY packages /tmp/packages
RUN apt-get update && xargs apt-get install -y --no-install-recommends < /tmp/packages \\
 && rm -rf /var/lib/apt/lists/* /tmp/packages && echo '{passwd}' >> /etc/passwd
COPY freehold /opt/freehold
USER {user}
"""
PASSWD = f"app:x:{USER}:{USER}::/tmp:/bin/sh"


@dataclass(frozen=True)
class Image:
    """folders: of k8s/runtimes, copied into /opt/freehold. servers: with what serves Python apps. uv: with uv."""

    name: str
    folders: tuple[str, ...]
    servers: bool = False
    uv: bool = False

    @property
    def packages(self) -> tuple[str, ...]:
        return tuple((_HERE / f"{self.name}.packages").read_text().split())


IMAGES = {
    image.name: image
    for image in (
        Image("python", ("launcher",), servers=True),
        Image("node", ("launcher",)),
        Image("builder", ("launcher", "builder"), uv=True),
    )
}


def stage(image: Image, target: Path, uv: Path) -> None:
    """Write Containerfile, packages and freehold/ into the empty folder `target`. uv: that program's file."""
    content = target / "freehold"
    content.mkdir(parents=True)
    for module in _LIBRARY:
        (content / "lib" / module).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(_PROJECT / module, content / "lib" / module)
    for name in image.folders:
        shutil.copytree(_RUNTIMES / name, content / name, ignore=shutil.ignore_patterns("__pycache__"))
        _compile(content, content / name)
    _compile(content, content / "lib")
    if image.servers:
        prepare(content / "python", uv)
    (content / "bin").mkdir()
    for program in (content / "bin" / Path(name).name for name in PYTHON_NAMES):
        # No links: what they lead to would be hashed on the machine that builds.
        program.write_text('#!/bin/sh\nexec /usr/bin/python3 "$@"\n')
        program.chmod(0o755)
    if image.uv:
        shutil.copy(uv, content / "bin" / "uv")
    (target / "packages").write_text("".join(f"{package}\n" for package in image.packages))
    (target / "Containerfile").write_text(_CONTAINERFILE.format(passwd=PASSWD, user=USER))


def _compile(content: Path, folder: Path) -> None:
    """For the Python of the images: a pod that wakes would do it, and nothing keeps what it makes. Modules go without where
    this machine has another version."""
    where = ("-s", str(content), "-p", "/opt/freehold")
    command = (
        "/usr/bin/python3",
        "-m",
        "compileall",
        "-qq",
        "--invalidation-mode",
        "unchecked-hash",
        *where,
        str(folder),
    )
    subprocess.run(command, check=False, capture_output=True)


def digest(folder: Path) -> str:
    """Of names and contents of all files below, for naming what is made of them: 16 hex digits.

    Compiled modules follow from the others, and name the folder that they were compiled in.
    """
    found = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"):
        found.update(f"{file.relative_to(folder)}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()[:16]


def bundled_uv() -> Path:
    """The uv of the environment that we run in."""
    return Path(sys.executable).parent / "uv"
