"""The command line of one sandbox: bubblewrap's arguments, and the little chain of programs around it.

As root: `sh` (joins the cgroups) → `nsenter` (network) → `prlimit` → `bwrap` (mounts, pid, ipc, uts, seccomp) → `setpriv`
(the cloud's user, no capabilities) → the program. Each replaces the one before it, so one process id stays.
The environment travels through a file descriptor: arguments can be read by everyone on the machine.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from k8s.local import sandbox_seccomp

_JOIN = 'while [ "$1" != -- ]; do echo $$ > "$1"; shift; done; shift; exec "$@"'
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_ETC = (
    "ssl/certs", "ssl/openssl.cnf", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "mime.types",
    "localtime", "protocols", "services", "python3", "python3.11", "debian_version", "os-release", "host.conf", "gai.conf",
)  # fmt: skip
TRUSTED = "/etc/ssl/certs/ca-certificates.crt"
_RESERVED = (*_SYSTEM, "/etc", "/proc", "/dev", "/sys", "/run", "/bundle", "/opt/freehold")


@dataclass(frozen=True)
class Mount:
    """A folder or file of the machine and where it appears inside."""

    source: Path
    target: str
    writable: bool = False


@dataclass(frozen=True)
class Confinement:
    """What one sandbox may see and use. uid None: stays the user that the agent runs as (without root).

    pseudo_etc: folder with passwd, group, hosts, resolv.conf, nsswitch.conf of this sandbox. trusted: file of certificates.
    """

    program: tuple[str, ...]
    env: Mapping[str, str]
    mounts: tuple[Mount, ...]
    pseudo_etc: Path
    trusted: Path | None
    uid: int | None
    network: str | None
    cgroup_files: tuple[Path, ...] = ()
    tmp_bytes: int = 512 * 1024 * 1024
    file_bytes: int = 4 * 1024**3
    open_files: int = 16_384
    hostname: str = "app"
    folder: str = "/"


def reserved(path: str) -> bool:
    """Whether `path` may not be a volume: the sandbox has something of its own there."""
    parts = Path(path)
    if not path.startswith("/") or ".." in parts.parts or parts == Path("/"):
        return True
    return parts == Path("/tmp") or any(parts.is_relative_to(place) for place in _RESERVED)  # noqa: S108


# Debian calls it python3 alone; apps' commands say `python`, and those of the former platform a version that is gone.
PYTHON_NAMES = tuple(f"/opt/freehold/bin/{name}" for name in ("python", "python3.8", "python3.9"))


def command(confinement: Confinement, status_fd: int, arguments_fd: int, seccomp_fd: int | None) -> list[str]:
    """What to execute. The descriptors must be inherited by it; `status_fd` receives bwrap's JSON lines."""
    chain = ["/bin/sh", "-c", _JOIN, "sh", *map(str, confinement.cgroup_files), "--"]
    if confinement.network:
        chain += ["nsenter", f"--net=/run/netns/{confinement.network}"]
    chain += ["prlimit", f"--nofile={confinement.open_files}", f"--fsize={confinement.file_bytes}", "--core=0", "bwrap"]
    chain += ["--json-status-fd", str(status_fd), "--args", str(arguments_fd)]
    if seccomp_fd is not None:
        chain += ["--seccomp", str(seccomp_fd)]
    chain.append("--")
    if confinement.uid is not None:
        user = f"--reuid={confinement.uid}", f"--regid={confinement.uid}"
        chain += ["setpriv", *user, "--clear-groups", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
    return [*chain, *confinement.program]


def arguments(confinement: Confinement) -> bytes:
    """The arguments that bwrap reads from its descriptor, each ended by a zero byte."""
    words = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--hostname", confinement.hostname, "--new-session"]
    words += ["--unshare-cgroup-try", "--clearenv"]
    words += _folders(["/etc/ssl/certs", *PYTHON_NAMES, *(mount.target for mount in confinement.mounts)])
    words += [*_system(), *_etc(confinement)]
    words += ["--proc", "/proc", "--dev", "/dev", "--chmod", "1777", "/dev/shm"]  # noqa: S108
    words += ["--perms", "1777", "--size", str(confinement.tmp_bytes), "--tmpfs", "/tmp"]  # noqa: S108
    for mount in confinement.mounts:
        words += ["--bind" if mount.writable else "--ro-bind", str(mount.source), mount.target]
    for name in PYTHON_NAMES:
        words += ["--symlink", "/usr/bin/python3", name]
    words += ["--remount-ro", "/", "--chdir", confinement.folder]
    for name, value in confinement.env.items():
        words += ["--setenv", name, value]
    return b"".join(os.fsencode(word) + b"\0" for word in words)


def memory_file(name: str, content: bytes) -> int:
    """An inheritable descriptor that reads `content` from its start; the caller closes it."""
    descriptor = os.memfd_create(name, 0)
    os.write(descriptor, content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def seccomp_file() -> int | None:
    """A descriptor with the system call filter, or None where this machine's calls are not known."""
    program = sandbox_seccomp.program()
    return None if program is None else memory_file("seccomp", program)


def _folders(targets: list[str]) -> list[str]:
    """bwrap would make what lies above a mount for its own user only."""
    above = {str(parent) for target in targets for parent in Path(target).parents} - {"/"}
    kept = {"/tmp", *_SYSTEM}  # noqa: S108
    return [word for folder in sorted(above - kept) for word in ("--perms", "0755", "--dir", folder)]


def _system() -> list[str]:
    words: list[str] = []
    for place in map(Path, _SYSTEM):
        if place.is_symlink():
            words += ["--symlink", str(place.readlink()), str(place)]
        elif place.exists():
            words += ["--ro-bind", str(place), str(place)]
    return words


def _etc(confinement: Confinement) -> list[str]:
    words: list[str] = []
    for name in _ETC:
        words += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    for name in ("passwd", "group", "hosts", "resolv.conf", "nsswitch.conf"):
        words += ["--ro-bind", str(confinement.pseudo_etc / name), f"/etc/{name}"]
    if confinement.trusted:
        words += ["--ro-bind", str(confinement.trusted), TRUSTED]
    return words
