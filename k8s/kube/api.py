"""HTTP to a Kubernetes apiserver: raw JSON through the official client, which brings credentials and TLS.

Typed models would cost ten to twenty times the processor time of plain JSON. The only importer of `kubernetes`.
"""

import http.client
import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

import kubernetes
import urllib3

from k8s.errors import ClusterError, NotFound, Permanent, Temporary
from k8s.kube.ownership import is_intact
from k8s.naming import FIELD_MANAGER, Manifest

_CONNECT_S, _READ_S = 5.0, 30.0
_UNREACHABLE_RETRY_S = 2.0
# A quota that was made a moment ago refuses everything until the cluster has counted for the first time.
UNCOUNTED = "status unknown for quota"
_APPLY = "application/apply-patch+yaml"  # JSON is YAML
_NODE_ADDRESSES = ("InternalIP", "Hostname", "ExternalIP")
_METADATA = "application/json;as={kind};g=meta.k8s.io;v=v1"

# kind → (path of its API group and version, plural, inside of a namespace)
_KINDS = {
    "Namespace": ("/api/v1", "namespaces", False),
    "PriorityClass": ("/apis/scheduling.k8s.io/v1", "priorityclasses", False),
    "Node": ("/api/v1", "nodes", False),
    "Secret": ("/api/v1", "secrets", True),
    "Service": ("/api/v1", "services", True),
    "ServiceAccount": ("/api/v1", "serviceaccounts", True),
    "Pod": ("/api/v1", "pods", True),
    "PersistentVolumeClaim": ("/api/v1", "persistentvolumeclaims", True),
    "ResourceQuota": ("/api/v1", "resourcequotas", True),
    "LimitRange": ("/api/v1", "limitranges", True),
    "NetworkPolicy": ("/apis/networking.k8s.io/v1", "networkpolicies", True),
    "Deployment": ("/apis/apps/v1", "deployments", True),
    "Event": ("/api/v1", "events", True),
    "Job": ("/apis/batch/v1", "jobs", True),
}


def path(kind: str, namespace: str | None = None, name: str | None = None) -> str:
    """Of one object, or of all of a kind (in one namespace, or everywhere)."""
    base, plural, inside = _KINDS[kind]
    parts = [base, *(("namespaces", quote(namespace)) if inside and namespace else ()), plural]
    return "/".join([*parts, quote(name)] if name else parts)


class Api:
    """One client per process; threads may share it. Every verb raises only `k8s.errors`."""

    def __init__(self, kubeconfig: str | None, context: str | None, pool: int = 32) -> None:
        """kubeconfig: its path; None inside of a cluster. Raises Permanent when the configuration cannot be used."""
        configuration = kubernetes.client.Configuration()
        configuration.connection_pool_maxsize = pool
        try:
            if kubeconfig is None:
                kubernetes.config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
            else:
                load = kubernetes.config.load_kube_config
                load(  # type: ignore[no-untyped-call]
                    config_file=kubeconfig, context=context, client_configuration=configuration
                )
        except kubernetes.config.ConfigException as error:
            raise Permanent(f"the cluster's configuration cannot be used: {error}") from error
        self._configuration = configuration
        self._host = str(configuration.host).rstrip("/")
        self._pool = kubernetes.client.ApiClient(configuration).rest_client.pool_manager

    def get(self, path: str, *, metadata_only: bool = False) -> Manifest:
        """Raises NotFound."""
        accept = _METADATA.format(kind="PartialObjectMetadata") if metadata_only else "application/json"
        return self._json("GET", path, accept=accept)

    def items(self, path: str, labels: str, *, metadata_only: bool = False) -> list[Manifest]:
        """What the label selector finds; from the apiserver's own cache, as of its newest state or a moment before."""
        return list(self.listing(path, labels, metadata_only=metadata_only)["items"])

    def listing(self, path: str, labels: str, *, metadata_only: bool = False, cached: bool = False) -> Manifest:
        """The whole list object. cached: whatever the apiserver holds in memory will do (resourceVersion=0)."""
        accept = _METADATA.format(kind="PartialObjectMetadataList") if metadata_only else "application/json"
        query = {"labelSelector": labels, **({"resourceVersion": "0"} if cached else {})}
        listing = self._json("GET", path, query=query, accept=accept)
        listing["items"] = listing["items"] or []  # old servers write null for an empty list of metadata
        return listing

    def apply(self, manifest: Manifest, *, resource_version: str | None = None) -> Manifest:
        """Server-side apply; what the manifest does not name and we had set goes.

        resource_version: only if the object still has this one, else Temporary.
        """
        metadata = manifest["metadata"]
        target = path(manifest["kind"], metadata.get("namespace"), metadata["name"])
        if resource_version:
            manifest = {**manifest, "metadata": {**metadata, "resourceVersion": resource_version}}
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        try:
            return self._json("PATCH", target, query=query, body=manifest, content_type=_APPLY)
        except Temporary:
            written = self._already(target, manifest)
            if written is None:
                raise
            return written

    def create(self, manifest: Manifest) -> None:
        """What is there already stays as it is."""
        try:
            self._json("POST", path(manifest["kind"], manifest["metadata"].get("namespace")), body=manifest)
        except Temporary as error:
            if "already exists" not in str(error):
                raise

    def delete(self, path: str, query: Mapping[str, str] | None = None) -> None:
        """Objects and what they own; returns before they are gone. Gone already is success."""
        options = {"propagationPolicy": "Background", **(query or {})}
        try:
            self._json("DELETE", path, query=options)
        except NotFound:
            return

    def lines(
        self, path: str, query: Mapping[str, str], *, read_timeout_s: float, metadata_only: bool = False
    ) -> Iterator[bytes]:
        """Lines of a streamed answer until it ends. Silence of `read_timeout_s` raises TimeoutError, and may be retried."""
        accept = _METADATA.format(kind="PartialObjectMetadata") if metadata_only else "application/json, */*"
        answer = self._open("GET", path, dict(query), None, accept, None, (_CONNECT_S, read_timeout_s))
        rest = b""
        try:
            for chunk in answer.stream(65_536, decode_content=True):
                *whole, rest = (rest + chunk).split(b"\n")
                yield from whole
            if rest:
                yield rest
        except urllib3.exceptions.ReadTimeoutError as error:
            raise TimeoutError from error
        except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            raise Temporary("the connection to the cluster broke off", _UNREACHABLE_RETRY_S) from error
        finally:
            answer.close()

    def kubelet(self, node: Manifest, page: str) -> list[bytes]:
        """Lines of a page of a node's kubelet, whose certificate must be signed by the cluster's authority."""
        addresses = {a["type"]: a["address"] for a in node["status"]["addresses"]}
        port = node["status"].get("daemonEndpoints", {}).get("kubeletEndpoint", {}).get("Port", 10250)
        host = next(addresses[kind] for kind in _NODE_ADDRESSES if kind in addresses)
        url = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
        answer = self._open("GET", page, {}, None, "text/plain", None, (_CONNECT_S, _READ_S), base=url)
        return bytes(answer.data).splitlines()

    def _already(self, target: str, wanted: Manifest) -> Manifest | None:
        """The object, if a write whose answer was lost has been done all the same: it carries the hash of what was sent,
        and nobody has altered it.
        """
        try:
            found = self.get(target, metadata_only=True)
        except ClusterError:
            return None
        return found if is_intact(wanted, found) else None

    def _json(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Manifest | None = None,
        accept: str = "application/json",
        content_type: str | None = None,
    ) -> Manifest:
        answer = self._open(method, path, dict(query or {}), body, accept, content_type, (_CONNECT_S, _READ_S))
        try:
            decoded: Manifest = json.loads(answer.data)
        except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, ValueError) as error:
            raise Temporary("the cluster's answer was cut short", _UNREACHABLE_RETRY_S) from error
        return decoded

    def _open(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        body: Manifest | None,
        accept: str,
        content_type: str | None,
        timeouts: tuple[float, float],
        base: str = "",
    ) -> urllib3.BaseHTTPResponse:
        headers = {"Accept": accept, **({"Content-Type": content_type} if content_type else {}), **self._credentials()}
        url = f"{base or self._host}{path}" + (f"?{urlencode(query)}" if query else "")
        content = json.dumps(body).encode() if body is not None else None
        timeout = urllib3.Timeout(connect=timeouts[0], read=timeouts[1])
        try:
            answer = self._pool.request(
                method, url, body=content, headers=headers, timeout=timeout, preload_content=False, retries=False
            )
            if answer.status < 300:
                return answer
            raise refusal(answer.status, answer.headers, answer.data)
        except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            raise Temporary("the cluster cannot be reached", _UNREACHABLE_RETRY_S) from error

    def _credentials(self) -> dict[str, str]:
        """Asked for anew each time: the client renews tokens that run out."""
        settings: Any = self._configuration.auth_settings()
        return {setting["key"]: setting["value"] for setting in settings.values()}


def refusal(status: int, headers: Mapping[str, str], body: bytes | str) -> ClusterError:
    """The error for an answer that is none of success."""
    message = _message(body) or f"the cluster answered with status {status}"
    if status in (404, 410):
        return NotFound(message)
    if status == 409:
        return Temporary(message, 1.0)
    if status == 403 and "being terminated" in message:
        return Temporary(message, 2.0)
    if status == 403 and UNCOUNTED in message:
        return Temporary(message, 0.5)
    if status >= 500 and "failed calling webhook" in message:
        return Temporary(
            f"A rule of the cluster cannot be asked; the operator must see to it. ({message})", _retry_after(headers)
        )
    if status == 429 or status >= 500 or status in (0, 401, 408):
        return Temporary(message, _retry_after(headers))
    return Permanent(_explained(status, message))


def _explained(status: int, message: str) -> str:
    """A sentence that says who can do what about it; the server's own words follow."""
    if "exceeded quota" in message:
        return f"The cloud is full: remove or stop something, or ask the operator for a larger quota. ({message})"
    if "admission webhook" in message or "ValidatingAdmissionPolicy" in message:
        return f"A rule of the cluster refuses this; the operator must change it or the app. ({message})"
    if status == 403:
        return f"The cluster does not allow Freehold to do this; the operator must grant the right. ({message})"
    return message


def _message(body: bytes | str) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return ""


def _retry_after(headers: Mapping[str, str]) -> float | None:
    value = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    return float(value) if value.isdigit() else None
