"""Installed dependencies kept in the cache by what determines them, so that the next build unpacks instead of installing.

Only what comes out the same whenever it is done: a lock file, or a date for what is not pinned. The cache belongs to one
developer's cloud and may be lost or damaged at any time; then everything is installed as if it had never been.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from .work import Workspace, environment, run

MOST_BYTES = 1_500_000_000
_OUTSIDE = re.compile(
    rb"\b(file|link|portal|workspace|git\+?\w*):|^\s*(-[rce]\b|--\w*requirement|\.{0,2}/)|\"workspaces\"", re.MULTILINE
)


def key_of(parts: Sequence[str], files: Sequence[Path]) -> str | None:
    """A name for what these texts and files lead to; None where something outside them has a say."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode() + b"\0")
    for file in files:
        content = file.read_bytes() if file.is_file() else b""
        if _OUTSIDE.search(content):
            return None
        digest.update(file.name.encode() + b"\0" + hashlib.sha256(content).digest())
    return digest.hexdigest()


def unpack(work: Workspace, key: str | None, target: Path) -> bool:
    """Fill `target` with what was kept. False, and no target, where nothing was or it is damaged."""
    archive = _archive(work, key)
    if archive is None or not archive.is_file():
        return False
    target.mkdir(parents=True, exist_ok=True)
    if run(("tar", "-xf", str(archive), "-C", str(target)), work.src, environment(work)) == 0:
        os.utime(archive)
        return True
    archive.unlink(missing_ok=True)
    shutil.rmtree(target, ignore_errors=True)
    return False


def keep(work: Workspace, key: str | None, source: Path) -> None:
    """Whole or not at all; a full cache is no reason to fail."""
    archive = _archive(work, key)
    if archive is None or not source.is_dir():
        return
    draft = archive.with_suffix(f".{os.getpid()}")
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
        if run(("tar", "-cf", str(draft), "-C", str(source), "."), work.src, environment(work)) == 0:
            draft.replace(archive)
            _trim(archive.parent)
    except OSError:
        pass
    finally:
        draft.unlink(missing_ok=True)


def _trim(folder: Path) -> None:
    """The longest unused go first."""
    archives = sorted(folder.glob("*.tar"), key=lambda path: path.stat().st_mtime, reverse=True)
    total = 0
    for number, archive in enumerate(archives):
        total += archive.stat().st_size
        if number and total > MOST_BYTES:
            archive.unlink(missing_ok=True)


def _archive(work: Workspace, key: str | None) -> Path | None:
    return work.cache / "kept" / f"{key}.tar" if key else None
