"""What a start must do only when something changed: tables, static files, the operator's account."""

import hashlib
import secrets
import sys
from pathlib import Path

from provider.up.home import Home
from provider.up.logs import say

OPERATOR_EMAIL = "operator@freehold.localhost"


class Preparation:
    """Decides whether `manage.py prepare` must run, and shows the operator's password if it made the account.

    cluster: the CLUSTER_URL that was given, "" for this machine; another one is looked at by the command.
    """

    def __init__(self, home: Home, source: Path, cluster: str = "") -> None:
        self.password = secrets.token_urlsafe(12)
        self.created = home.run / "operator-created"  # written by the command
        self._stamp = home.path / "prepared"
        self._fingerprint = _fingerprint(source) + cluster
        self.created.unlink(missing_ok=True)
        self.needed = not self._stamp.exists() or self._stamp.read_text() != self._fingerprint

    def environment(self, database_url: str) -> dict[str, str]:
        return {
            "DATABASE_URL": database_url,
            "FREEHOLD_OPERATOR_EMAIL": OPERATOR_EMAIL,
            "FREEHOLD_OPERATOR_PASSWORD": self.password,
        }

    def done(self, console: str) -> None:
        """Call once everything runs."""
        self._stamp.write_text(self._fingerprint)
        if self.created.exists():
            self.created.unlink()
            say(
                frame(
                    "The operator's account (shown only now)",
                    f"  at        {console}/accounts/login/",
                    f"  e-mail    {OPERATOR_EMAIL}",
                    f"  password  {self.password}",
                )
            )


class Catalog:
    """Whether the example apps have been published as they are now; told by the command that publishes them."""

    def __init__(self, home: Path, source: Path) -> None:
        self._stamp = home / "seeded"
        self._fingerprint = _of_files(
            sorted(p for p in (source / "apps_catalog" / "examples").rglob("*") if p.is_file())
        )

    @property
    def is_published(self) -> bool:
        return self._stamp.exists() and self._stamp.read_text() == self._fingerprint

    def done(self) -> None:
        self._stamp.write_text(self._fingerprint)


def _fingerprint(source: Path) -> str:
    """Of everything that migrations and collected static files depend on."""
    found = [source / "requirements" / "server.lock", source / "provider" / "settings.py"]
    for package in ("provider", "tenants", "apps_catalog"):
        found += sorted((source / package).glob("migrations/*.py"))
        found += sorted(path for path in (source / package / "static").rglob("*") if path.is_file())
    return _of_files(found)


def _of_files(paths: list[Path]) -> str:
    """Names, sizes and times, so it is quick; and the environment that runs us."""
    seen = hashlib.sha256(sys.prefix.encode())
    for path in paths:
        if path.exists():
            status = path.stat()
            seen.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return seen.hexdigest()


def frame(*lines: str) -> str:
    width = max(map(len, lines))
    middle = "\n".join(f"│ {line:<{width}} │" for line in lines)
    return f"┌{'─' * (width + 2)}┐\n{middle}\n└{'─' * (width + 2)}┘"
