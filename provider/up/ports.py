"""Everything that must differ between two homes on one machine, derived from the home's path."""

import hashlib
import socket
from dataclasses import dataclass
from pathlib import Path

from provider.up.complaint import Complaint

FIRST_PORT = 10_000  # below the node agent's (20000 on) and Linux' ephemeral range
PORTS_PER_HOME = 8
HOMES = 1_200
FIRST_UID = 61_200  # systemd's range for dynamic users: never in /etc/passwd
UIDS = 4_000


@dataclass(frozen=True)
class Ports:
    """TCP ports on 127.0.0.1 that only the platform itself uses; bundles: on a cluster, open to pods too."""

    postgres: int
    web: int
    live: int
    static: int
    metrics: int
    bundles: int


def digest(home: Path) -> int:
    return int.from_bytes(hashlib.sha256(str(home).encode()).digest()[:8])


def short_name(home: Path) -> str:
    """Eight hexadecimal digits that stand for this home in names of outside things."""
    return f"{digest(home):016x}"[:8]


def choose(home: Path) -> None:
    """Keep the home's block of ports, or take the next one where a stranger listens in it, and write it down.

    To be called before anything of this home runs. Raises Complaint when no block is free.
    """
    first = _first(home)
    for step in range(HOMES):
        candidate = FIRST_PORT + (first - FIRST_PORT + step * PORTS_PER_HOME) % (HOMES * PORTS_PER_HOME)
        if all(_is_free(port) for port in vars(_block(candidate)).values()):
            _file(home).write_text(f"{candidate}\n")
            return
    raise Complaint(f"No inner ports are free between {FIRST_PORT} and {FIRST_PORT + HOMES * PORTS_PER_HOME}.")


def inner_ports(home: Path) -> Ports:
    """Those of the last start; before the first one, those that the path suggests."""
    return _block(_first(home))


def _first(home: Path) -> int:
    try:
        return int(_file(home).read_text())
    except (OSError, ValueError):
        return FIRST_PORT + digest(home) % HOMES * PORTS_PER_HOME


def _file(home: Path) -> Path:
    return home / "ports"


def _block(first: int) -> Ports:
    return Ports(postgres=first, web=first + 1, live=first + 2, static=first + 3, metrics=first + 4, bundles=first + 5)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def postgres_uid(home: Path) -> int:
    """The user that PostgreSQL runs as where we are root (it refuses to run as root)."""
    return FIRST_UID + digest(home) % UIDS
