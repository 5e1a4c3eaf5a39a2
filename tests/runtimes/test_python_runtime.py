"""The folder of servers that Python sandboxes get."""

import os
import stat
from pathlib import Path

from k8s.runtimes.python.prepare import prepare
from tests.runtimes.conftest import UV


def test_every_clouds_own_user_can_read_it_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        prepare(tmp_path / "python", UV)
    finally:
        os.umask(before)
    for path in (tmp_path / "python").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o755 if path.is_dir() else 0o644), path
