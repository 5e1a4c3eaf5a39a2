"""What the machine must offer before anything is started. Everything here raises Complaint with one sentence."""

import os
import shutil
import socket
from pathlib import Path

from provider.up.complaint import Complaint
from provider.up.logs import say

PACKAGES = {
    "redis-server": "redis-server",
    "haproxy": "haproxy",
    "setpriv": "util-linux",
    "unshare": "util-linux",
}
SANDBOX_PACKAGES = {"bwrap": "bubblewrap", "node": "nodejs"}
ROOT_PACKAGES = {"nft": "nftables", "ip": "iproute2"}


def check_tools(*, sandboxes: bool = True) -> None:
    """sandboxes: instances run on this machine."""
    # Debian keeps daemons in sbin, which an ordinary person's PATH does not name.
    os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"
    wanted = PACKAGES
    if sandboxes:
        wanted = wanted | SANDBOX_PACKAGES | (ROOT_PACKAGES if os.geteuid() == 0 else {})
    missing = sorted({package for tool, package in wanted.items() if shutil.which(tool) is None})
    if missing:
        raise Complaint(f"Missing programs: install them with `apt-get install {' '.join(missing)}`.")


def check_isolation() -> None:
    """Without root, apps are not kept apart from this machine: that must be wanted, and is said each time."""
    if os.geteuid() == 0:
        return
    if os.environ.get("FREEHOLD_ALLOW_UNISOLATED", "").lower() not in ("1", "true", "yes"):
        raise Complaint(
            "Without root, apps are not isolated from this machine: run as root, or set FREEHOLD_ALLOW_UNISOLATED=true."
        )
    say("Not root: apps share this machine's network and its limits, and can reach what you can reach.")


def check_port(port: int, option: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError as error:
            raise Complaint(f"Port {port} needs root: choose one above 1023 with {option}.") from error
        except OSError as error:
            raise Complaint(f"Port {port} is taken{_by(port)}: stop that, or choose another with {option}.") from error


def _by(port: int) -> str:
    """ " by NAME (process N)" where it can be found out: as root, or for one's own processes."""
    inodes = _listening_inodes(port)
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and inodes & _socket_inodes(process):
            return f" by {(process / 'comm').read_text().strip()} (process {process.name})"
    return ""


def _listening_inodes(port: int) -> set[str]:
    rows = [line.split() for name in ("tcp", "tcp6") for line in _lines(Path("/proc/net") / name)]
    return {row[9] for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port}


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()[1:] if path.exists() else []


def _socket_inodes(process: Path) -> set[str]:
    try:
        links = [str(link.readlink()) for link in (process / "fd").iterdir()]
    except OSError:
        return set()
    return {link[8:-1] for link in links if link.startswith("socket:[")}
