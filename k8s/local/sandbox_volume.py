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
_SPARE_BYTES = 64 * _MIB  # left free on the machine beside a copy
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


def keep(folder: Path, copies: Path, name: str) -> None:
    """Make the copy `name` in `copies`, in place of every other one. Nothing may be running on the disk.

    A copy that is there is whole, and stays as it is: safe to repeat. A disk that was never made has none.
    Raises Permanent, with a sentence, where the machine has no room or the disk is still in use.
    """
    if not _kept_in(folder).exists():
        return
    copies.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        for other in copies.iterdir():
            if other.name != name:
                _delete(other)
        if not (copies / name).exists():
            _copy(folder, copies / f"{name}.draft")
            (copies / f"{name}.draft").rename(copies / name)
            _sync(copies)


def give_back(folder: Path, copies: Path, name: str) -> None:
    """Put the copy in the disk's place. Without a copy nothing changes: it was given back, or nothing was ever altered.

    Nothing may be running on the disk. Safe to repeat.
    """
    copy = copies / name
    if not copy.exists():
        return
    with _alone(folder):
        if copy.is_dir():
            _delete(folder)
            copy.rename(folder)
        else:
            release(folder)
            copy.rename(_image(folder))
        _sync(folder.parent)


def forget(copies: Path) -> None:
    """Delete every copy. Safe to repeat."""
    shutil.rmtree(copies, ignore_errors=True)


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


def _kept_in(folder: Path) -> Path:
    """Where what is on the disk really lies."""
    return _image(folder) if os.geteuid() == 0 else folder


def _copy(folder: Path, draft: Path) -> None:
    """Sparse, sharing blocks where the file system can."""
    if folder.is_mount():
        _run("umount", str(folder))  # or not at all: what somebody holds still is not at rest
    source = _kept_in(folder)
    needed = used_bytes(folder)
    if shutil.disk_usage(draft.parent).free < needed + _SPARE_BYTES:
        raise Permanent(f"the machine has no room for a copy of its {needed // _MIB} MiB")
    _run("cp", "-a", "--sparse=always", "--reflink=auto", str(source), str(draft))
    _run("sync", "--file-system", str(draft))


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
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
