"""The home folder (state that must last), the run folder (sockets) and the lock that keeps two from sharing them."""

import fcntl
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from provider.up.complaint import Complaint
from provider.up.ports import Ports, inner_ports, short_name

NEEDED_BYTES = 1024**3


@dataclass(frozen=True)
class Home:
    """path: FREEHOLD_HOME, absolute. run: FREEHOLD_RUN, short because a socket's path may have 107 bytes only."""

    path: Path
    run: Path

    @property
    def ports(self) -> Ports:
        return inner_ports(self.path)

    @property
    def status_socket(self) -> Path:
        return self.run / "up.sock"

    @property
    def redis_socket(self) -> Path:
        return self.run / "redis.sock"


def run_folder(home: Path) -> Path:
    name = f"freehold-{short_name(home)}"
    if os.geteuid() == 0:
        return Path("/run") / name
    return Path(os.environ.get("XDG_RUNTIME_DIR") or "/tmp") / name  # noqa: S108 - checked to be ours in _own_folder


def _own_folder(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.stat().st_uid != os.geteuid():
            raise Complaint(f"{path} belongs to another user: run as that user, or choose another folder with --home.")
        path.chmod(0o700)
        probe = path / ".writable"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise Complaint(f"Cannot write to {path} ({error.strerror}): choose another folder with --home.") from error


def prepare(path: Path) -> Home:
    """Both folders, 0700 and ours, with room to work in. Raises Complaint."""
    home = Home(path=path.resolve(), run=run_folder(path.resolve()))
    _own_folder(home.path)
    _own_folder(home.run)
    for name in ("log", "mail", "store", "node", "gate", "runtime"):
        (home.path / name).mkdir(mode=0o700, exist_ok=True)
    free = shutil.disk_usage(home.path).free
    if free < NEEDED_BYTES:
        raise Complaint(f"Only {free // 1024**2} MiB are free at {home.path}: make room for at least 1024 MiB.")
    return home


def lock(home: Home) -> int:
    """Hold the home until this process ends; the descriptor must stay open. Raises Complaint naming the holder."""
    descriptor = os.open(home.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise Complaint(
            f"Freehold already runs in {home.path} (process {holder}): stop it, or choose another folder with --home."
        ) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor
