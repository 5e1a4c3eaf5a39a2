"""Disks of a limited size: a sparse file with an ext4 file system in it, mounted as root; else a plain folder.

Used for the volumes of instances and for the work and cache folders of builds. A plain folder has no hard limit: there
the size is only looked at.
"""

import contextlib
import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from k8s.errors import Permanent

_MIB = 1024 * 1024
_MINIMUM_MIB = 8  # below this ext4 has no room for its own tables


def provide(folder: Path, size_mib: int, uid: int) -> None:
    """Make `folder` a disk of `size_mib` owned by `uid`, keeping what is on it; a larger size makes it grow.

    Raises Permanent when the machine refuses. Safe to repeat.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        with _alone(folder):
            _provide_disk(folder, max(size_mib, _MINIMUM_MIB) * _MIB, uid)


def release(folder: Path) -> None:
    """Unmount; what is on the disk stays. Not mounted is success."""
    if folder.is_mount() and subprocess.run(["umount", str(folder)], capture_output=True, check=False).returncode:
        subprocess.run(["umount", "--lazy", str(folder)], capture_output=True, check=False)


def destroy(folder: Path) -> None:
    """Unmount and delete with everything on it. Gone already is success."""
    if not folder.parent.exists():
        return
    with _alone(folder):
        release(folder)
        _image(folder).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)


def exists(folder: Path) -> bool:
    return folder.exists() or _image(folder).exists()


def used_bytes(folder: Path) -> int:
    """What is stored on the disk; file system tables do not count."""
    if folder.is_mount():
        stat = os.statvfs(folder)
        return (stat.f_blocks - stat.f_bfree) * stat.f_frsize
    if _image(folder).exists():
        return _image(folder).stat().st_blocks * 512
    return sum(entry.lstat().st_blocks * 512 for entry in folder.rglob("*"))


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Builds of one cloud share its cache: two that begin together must not format and mount it both."""
    descriptor = os.open(folder.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _provide_disk(folder: Path, size: int, uid: int) -> None:
    image = _image(folder)
    fresh = not image.exists()
    if fresh:
        _format(image, size, uid)
    if not folder.is_mount():
        _run("mount", "-o", "loop,nosuid,nodev,noatime", str(image), str(folder))
    if fresh:
        with contextlib.suppress(OSError):
            (folder / "lost+found").rmdir()
    elif image.stat().st_size < size:
        _grow(image, folder, size)
    os.chown(folder, uid, uid)
    folder.chmod(0o700)


def _image(folder: Path) -> Path:
    return folder.with_name(folder.name + ".img")


def _format(image: Path, size: int, uid: int) -> None:
    draft = image.with_suffix(".new")  # a half-made file system must never be taken for a disk with data
    with draft.open("wb") as out:
        out.truncate(size)
    options = f"lazy_itable_init=1,lazy_journal_init=1,root_owner={uid}:{uid}"
    _run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", options, str(draft))
    draft.chmod(0o600)
    draft.replace(image)


def _grow(image: Path, folder: Path, size: int) -> None:
    os.truncate(image, size)
    device = _run("findmnt", "--noheadings", "--output", "SOURCE", str(folder)).strip()
    _run("losetup", "--set-capacity", device)
    _run("resize2fs", device)


def _run(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        detail = getattr(error, "stderr", "") or str(error)
        raise Permanent(f"the machine refused a disk for a volume: {detail.strip()[:300]}") from error
