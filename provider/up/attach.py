"""Lets `manage.py token …` and other commands find the Freehold that `manage.py up` runs from the same home."""

import json
import os
from dataclasses import asdict
from pathlib import Path

from provider.up import postgres, secretfile, table
from provider.up.child import SOURCE
from provider.up.cluster import Kubernetes
from provider.up.home import Home, run_folder

OPTIONS = "options.json"


def default_home() -> Path:
    return Path(os.environ.get("FREEHOLD_HOME") or SOURCE / "var").resolve()


def remember(home: Home, port: int, tls_port: int, cluster: Kubernetes | None = None) -> None:
    """What this start was asked for, so that commands print the right addresses and speak to the right cluster."""
    asked = {"port": port, "tls_port": tls_port, "cluster": asdict(cluster) if cluster else None}
    secretfile.write_private(home.path / OPTIONS, json.dumps(asked).encode())


def adopt_environment() -> None:
    """As `up` gives it to its processes, unless this process was told its database already or there is no such home."""
    path = default_home()
    if "DATABASE_URL" in os.environ or not (path / OPTIONS).exists():
        return
    secrets = secretfile.read(path / "secrets.env")
    options = json.loads((path / OPTIONS).read_text())
    home = Home(path, run_folder(path))
    database = postgres.cluster(home, secrets)
    cluster = Kubernetes(**options["cluster"]) if options.get("cluster") else None
    plan = table.Plan(home, options["port"], options["tls_port"], database, secrets, None, cluster)
    os.environ.update(table.settings(plan))
