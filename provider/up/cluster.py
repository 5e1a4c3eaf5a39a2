"""Clouds in a Kubernetes instead of on this machine: what `manage.py up` adds to the CLUSTER_URL that a person gave."""

import ipaddress
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

from provider.up.complaint import Complaint
from provider.up.home import Home
from provider.up.secretfile import write_private

SCHEME = "kubernetes"
HOST_ADDR = "FREEHOLD_HOST_ADDR"
IMAGES = ("image.python", "image.node", "image.builder")
_KEY, _INSTALLATION = "bundles.key", "installation"


@dataclass(frozen=True)
class Kubernetes:
    """url: as the person gave it. host: this machine's IPv4 address as pods reach it."""

    url: str
    host: str

    def complete(self, home: Home, gate_ports: Sequence[int]) -> str:
        """CLUSTER_URL for the processes. What the person named stays; the rest leads to this home."""
        added = {
            "installation": home.path / _INSTALLATION,  # written by `manage.py prepare`, which asks the database
            "key": home.path / _KEY,
            "bundles": f"http://{self.host}:{home.ports.bundles}",
            "results": f"http://127.0.0.1:{home.ports.bundles}",
            "gate": self.host,
            "outside": self.host,
        }
        named = parse_qs(urlsplit(self.url).query)
        missing = [f"{name}={quote(str(value), safe='/:')}" for name, value in added.items() if name not in named]
        if "outside_port" not in named:
            missing += [f"outside_port={port}" for port in gate_ports]
        if "trusted" not in named:
            missing += [f"trusted={quote(str(home.path / name))}" for name in ("ca.pem", "sandbox-ca.pem")]
        return self.url + ("&" if "?" in self.url else "?") + "&".join(missing)


def chosen() -> Kubernetes | None:
    """From the environment; None for this machine's own sandboxes. Raises Complaint naming what is wrong."""
    url = os.environ.get("CLUSTER_URL", "")
    scheme = urlsplit(url).scheme
    if scheme in ("", "local"):
        return None
    if scheme != SCHEME:
        raise Complaint(f"CLUSTER_URL begins with {SCHEME}:// or is left unset, not with “{scheme}://”.")
    named = parse_qs(urlsplit(url).query)
    if missing := [name for name in IMAGES if name not in named]:
        raise Complaint(f"CLUSTER_URL must name {', '.join(missing)}: images of the runtimes (k8s/runtimes/images).")
    kubeconfig = urlsplit(url).path
    if not urlsplit(url).netloc and not Path(kubeconfig).is_file():
        raise Complaint(f"CLUSTER_URL names the kubeconfig {kubeconfig or '(none)'}, which is not there.")
    return Kubernetes(url, _host())


def _host() -> str:
    host = os.environ.get(HOST_ADDR, "")
    try:
        return str(ipaddress.IPv4Address(host))
    except ValueError as error:
        raise Complaint(f"{HOST_ADDR} must be this machine's IPv4 address as pods of the cluster reach it.") from error


def ensure_key(home: Home) -> None:
    """What tokens for the bundle server are made with; made once."""
    file = home.path / _KEY
    if not file.exists():
        write_private(file, secrets.token_urlsafe(48).encode())
