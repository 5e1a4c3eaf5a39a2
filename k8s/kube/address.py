"""From a `kubernetes:` URL to a driver.

    kubernetes:///PATH/OF/KUBECONFIG?context=NAME&installation=UUID&bundles=URL&key=/PATH&image.python=…
    kubernetes://in-cluster?installation=…

installation: a UUID, or the path of a file that holds it. bundles: the bundle server's URL as pods reach it; results: as the
driver reaches it, if that differs. key: a file with the secret that the bundle server has too. image.python, image.node,
image.builder: runtime images. Optional: gate (address), outside (the provider's address beside the cluster), outside_port
(its gate's, repeated), trusted (files with certificates for apps and builds, repeated), runtime_class, storage_class,
request_percent, pods and blocked (CIDRs, repeated), port_ranges=false, build.NAME (a variable of builds: a proxy, another
registry).
"""

import re
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from k8s.bundles.client import ResultsClient
from k8s.cell import Cell
from k8s.errors import Permanent
from k8s.kube.api import Api
from k8s.kube.driver import KubeCluster

_RUNTIMES = ("python", "node", "builder")
_BUILD, _VARIABLE = "build.", re.compile(r"(?!FREEHOLD_)[A-Za-z_][A-Za-z0-9_]*")


def from_url(url: str) -> KubeCluster:
    """Raises Permanent when something is missing or cannot be read."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)

    def one(name: str, default: str | None = None) -> str:
        value = query.get(name, [default])[0]
        if value is None:
            raise Permanent(f"CLUSTER_URL names no “{name}”")
        return value

    if parts.netloc not in ("", "in-cluster") or bool(parts.netloc) == bool(parts.path.strip("/")):
        raise Permanent("a cluster's URL is kubernetes:///PATH/OF/KUBECONFIG?… or kubernetes://in-cluster?…")
    cell = Cell(
        installation=_installation(one("installation")),
        images={name: one(f"image.{name}") for name in _RUNTIMES},
        bundle_url=one("bundles").rstrip("/"),
        gate_address=query.get("gate", [None])[0],
        trusted="".join(_trusted(named) for named in query.get("trusted", [])),
        outside=query.get("outside", [None])[0],
        outside_ports=tuple(map(int, query.get("outside_port", []))),
        blocked=tuple(query.get("blocked", [])),
        pods=tuple(_network(named) for named in query.get("pods", [])),
        port_ranges=one("port_ranges", "true") != "false",
        runtime_class=query.get("runtime_class", [None])[0],
        storage_class=query.get("storage_class", [None])[0],
        request_percent=int(one("request_percent", "25")),
        build_env={_variable(name): values[0] for name, values in query.items() if name.startswith(_BUILD)},
    )
    key = key_of(url)
    api = Api(None if parts.netloc else parts.path, query.get("context", [None])[0])
    return KubeCluster(api, cell, key, ResultsClient(one("results", cell.bundle_url).rstrip("/"), key))


def installation_of(url: str) -> str:
    """The UUID that the URL names, itself or by a file. Raises Permanent."""
    named = parse_qs(urlsplit(url).query).get("installation", [""])[0]
    if not named:
        raise Permanent("CLUSTER_URL names no “installation”")
    return _installation(named)


def _installation(named: str) -> str:
    try:
        return str(UUID(Path(named).read_text().strip() if named.startswith("/") else named))
    except OSError as error:
        raise Permanent(f"the file with this installation's id cannot be read: {error}") from error
    except ValueError as error:
        raise Permanent("“installation” in CLUSTER_URL is not a UUID") from error


def _network(named: str) -> str:
    try:
        return str(ip_network(named))
    except ValueError as error:
        raise Permanent(f"“pods” in CLUSTER_URL names no network, as 10.0.0.0/16 would: {named}") from error


def _variable(named: str) -> str:
    name = named.removeprefix(_BUILD)
    if not _VARIABLE.fullmatch(name):
        raise Permanent(f"“{named}” in CLUSTER_URL names no variable that builds may be given")
    return name


def _trusted(named: str) -> str:
    try:
        text = Path(named).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Permanent(f"the certificates in {named}, which apps are to trust, cannot be read: {error}") from error
    if "-----BEGIN CERTIFICATE-----" not in text or "PRIVATE KEY" in text:
        raise Permanent(f"“trusted” in CLUSTER_URL must name files of certificates and nothing else: {named}")
    return text.rstrip("\n") + "\n"


def key_of(url: str) -> bytes:
    """What tokens for the bundle server are made with. Raises Permanent."""
    named = parse_qs(urlsplit(url).query).get("key", [""])[0]
    if not named:
        raise Permanent("CLUSTER_URL names no “key”")
    file = Path(named)
    try:
        key = file.read_bytes().strip()
    except OSError as error:
        raise Permanent(f"the bundle server's key cannot be read: {error}") from error
    if len(key) < 32:
        raise Permanent(f"the key in {file} is shorter than 32 bytes")
    return key
