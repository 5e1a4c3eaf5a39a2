"""Lets `manage.py token …` and other commands find the Freehold that `manage.py up` runs from the same home."""

import json
import os
from pathlib import Path

from provider.up import postgres, secretfile, table
from provider.up.child import SOURCE
from provider.up.home import Home, run_folder

OPTIONS = "options.json"


def default_home() -> Path:
    return Path(os.environ.get("FREEHOLD_HOME") or SOURCE / "var").resolve()


def remember(home: Home, port: int, tls_port: int) -> None:
    """What this start was asked for, so that addresses that commands print are right."""
    secretfile.write_private(home.path / OPTIONS, json.dumps({"port": port, "tls_port": tls_port}).encode())


def adopt_environment() -> None:
    """As `up` gives it to its processes, unless this process was told its database already or there is no such home."""
    path = default_home()
    if "DATABASE_URL" in os.environ or not (path / OPTIONS).exists():
        return
    secrets = secretfile.read(path / "secrets.env")
    options = json.loads((path / OPTIONS).read_text())
    home = Home(path, run_folder(path))
    database = postgres.cluster(home, secrets)
    os.environ.update(table.settings(table.Plan(home, options["port"], options["tls_port"], database, secrets, None)))
