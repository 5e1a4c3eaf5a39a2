"""Secrets of one installation: made once, kept in FREEHOLD_HOME/secrets.env, never shown."""

import base64
import os
import secrets
from pathlib import Path

from provider.up.complaint import Complaint


def _fresh() -> dict[str, str]:
    return {
        "SECRET_KEY": secrets.token_urlsafe(48),
        "FREEHOLD_FIELD_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "FREEHOLD_DB_PASSWORD": secrets.token_urlsafe(24),
        "FREEHOLD_DB_OWNER_PASSWORD": secrets.token_urlsafe(24),
        "FREEHOLD_GATE_SECRET": secrets.token_urlsafe(32),
        "FREEHOLD_DATA_KEY": secrets.token_hex(32),
        "FREEHOLD_SESSION_KEYS": f"k{secrets.token_hex(3)}:{secrets.token_urlsafe(32)}",
    }


def read(path: Path) -> dict[str, str]:
    lines = (line.partition("=") for line in path.read_text().splitlines() if line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in lines}


def load(home: Path) -> dict[str, str]:
    """The secrets, made on the first start. A name that a newer version needs is added; none is ever replaced."""
    path = home / "secrets.env"
    known = read(path) if path.exists() else {}
    if not known and (home / "pg").exists():
        raise Complaint(f"{path} is gone but the data in {home} needs it: put it back from a backup.")
    missing = {name: value for name, value in _fresh().items() if name not in known}
    if missing:
        write_private(path, "".join(f"{name}={value}\n" for name, value in (known | missing).items()).encode())
    return known | missing


def write_private(path: Path, content: bytes, *, lasting: bool = True) -> None:
    """Replace the file as a whole, 0600 from its first byte on; `lasting` content is on the disk on return."""
    scratch = path.with_name(f".{path.name}.new")
    scratch.unlink(missing_ok=True)
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        if lasting:
            os.fsync(file.fileno())
    scratch.replace(path)
