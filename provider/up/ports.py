"""Everything that must differ between two homes on one machine, derived from the home's path."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

FIRST_PORT = 10_000  # below the node agent's (20000 on) and Linux' ephemeral range
PORTS_PER_HOME = 8
HOMES = 1_200
FIRST_UID = 61_200  # systemd's range for dynamic users: never in /etc/passwd
UIDS = 4_000


@dataclass(frozen=True)
class Ports:
    """TCP ports on 127.0.0.1 that only the platform itself uses."""

    postgres: int
    web: int
    live: int
    static: int
    metrics: int


def digest(home: Path) -> int:
    return int.from_bytes(hashlib.sha256(str(home).encode()).digest()[:8])


def short_name(home: Path) -> str:
    """Eight hexadecimal digits that stand for this home in names of outside things."""
    return f"{digest(home):016x}"[:8]


def inner_ports(home: Path) -> Ports:
    first = FIRST_PORT + digest(home) % HOMES * PORTS_PER_HOME
    return Ports(postgres=first, web=first + 1, live=first + 2, static=first + 3, metrics=first + 4)


def postgres_uid(home: Path) -> int:
    """The user that PostgreSQL runs as where we are root (it refuses to run as root)."""
    return FIRST_UID + digest(home) % UIDS
