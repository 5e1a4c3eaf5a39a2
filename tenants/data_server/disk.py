"""The folder that a data server lives on: which file systems will do, and that nobody else has it."""

import ctypes
import fcntl
import os
from pathlib import Path

# SQLite's locks and shared memory, and fsync, keep their word on these. Network file systems do not.
_GOOD = {"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "bcachefs", "jfs", "overlay", "tmpfs"}


class Unusable(Exception):
    """The server must not start on this folder; the text says why."""


def check(folder: Path, mounts: Path = Path("/proc/self/mountinfo")) -> None:
    """Raises Unusable for a folder on a file system that is not known to lie on a block device of its own."""
    kind, mount = _file_system(folder.resolve(), mounts)
    if kind not in _GOOD:
        raise Unusable(f"{folder} is on {kind} ({mount}). Data needs block storage: {', '.join(sorted(_GOOD))}")


def claim(folder: Path) -> int:
    """Lock the folder until this process ends: one writer always. Returns the descriptor. Raises Unusable."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise Unusable(f"Another data server is running on {folder}") from None
    return descriptor


def make(folder: Path) -> None:
    """Like mkdir -p, and still there after a power cut."""
    if not folder.is_dir():
        make(folder.parent)
        folder.mkdir(exist_ok=True, mode=0o700)
        sync(folder.parent)


def sync(folder: Path) -> None:
    """What was created, renamed or removed in `folder` stays so after a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_all(folder: Path) -> None:
    """Everything on the file system of `folder` is on the disk when this returns: cheaper than one by one for many files."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor):
            raise OSError(ctypes.get_errno(), "the disk did not take what was written")
    finally:
        os.close(descriptor)


def _file_system(folder: Path, mounts: Path) -> tuple[str, str]:
    """Type and mount point of what holds `folder`; the last of equal mount points lies on top."""
    best = ("unknown", "")
    for line in mounts.read_text().splitlines():
        left, _, right = line.partition(" - ")
        point = left.split()[4].replace("\\040", " ")
        if len(point) >= len(best[1]) and folder.is_relative_to(point):
            best = (right.split()[0], point)
    return best
