"""Make the folder that Python sandboxes get beside the app: the servers for apps that bring none, and the `deta` module."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_LOCK = _HERE / "requirements.lock"
_STAMP = ".freehold-stamp"
_PYTHON = Path("/usr/bin/python3")
_OURS = ("freehold_server", "deta")


def prepare(target: Path, uv: Path) -> bool:
    """Install the lock and what is ours into `target` for the system's Python. Returns False if it was current.

    Safe to repeat and to interrupt: the folder is made beside the old one and takes its place whole.
    Raises subprocess.CalledProcessError with uv's output in `stderr`.
    """
    stamp = _stamp()
    if (target / _STAMP).is_file() and (target / _STAMP).read_text() == stamp:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-"))
    try:
        _fill(fresh, uv)
        (fresh / _STAMP).write_text(stamp)
        _open_to_readers(fresh)
        if target.exists():
            shutil.rmtree(target)
        fresh.replace(target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return True


def _stamp() -> str:
    """What the folder is made of: the lock, our own sources, and the Python it is for."""
    digest = hashlib.sha256(_LOCK.read_bytes())
    for source in sorted(file for name in _OURS for file in (_HERE / name).rglob("*.py")):
        digest.update(source.relative_to(_HERE).as_posix().encode() + b"\0" + source.read_bytes())
    digest.update(os.fsencode(_PYTHON.resolve()))
    return digest.hexdigest()


def _open_to_readers(folder: Path) -> None:
    """Sandboxes read it as other users, whatever the umask of whoever made it."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _fill(folder: Path, uv: Path) -> None:
    install = (str(uv), "pip", "install", "--target", str(folder), "--python", str(_PYTHON), "--link-mode", "copy")
    options = ("--require-hashes", "--only-binary", ":all:", "--no-deps", "--quiet", "-r", str(_LOCK))
    subprocess.run((*install, *options), check=True, capture_output=True, text=True)
    for name in _OURS:
        shutil.copytree(_HERE / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.rmtree(folder / "bin", ignore_errors=True)
    (folder / ".lock").unlink(missing_ok=True)
    compile_all = ("-m", "compileall", "-qq", "--invalidation-mode", "unchecked-hash", str(folder))
    subprocess.run((str(_PYTHON), *compile_all), check=False, capture_output=True)
