"""The bundle server: `GET /artifacts/<digest>`, `PUT /results/<digest>`, `GET /results/<cloud>/<job>`, `GET /healthz`.

Pods reach it and nobody else. It answers 404 alike for what is not there and for what the asker does not want just now.
"""

import hashlib
import logging
import shutil
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Protocol

from k8s.bundles import tokens
from k8s.bundles.results import Results, encode
from k8s.bundles.tokens import Bearer, Kind
from k8s.errors import ClusterError, NotFound, Permanent
from k8s.local import artifacts
from k8s.specs import BuildSpec

log = logging.getLogger(__name__)
_SOCKET_S = 60.0
_OVERHEAD_BYTES = 64 * 1024**2  # of archives beside the content they hold
_SHOWN = 12


class Wishes(Protocol):
    """What is wanted now, asked for every request; an answer must not be older than the request."""

    def wants(self, cloud_id: str, instance_id: str, digest: str) -> bool: ...

    def comes_up(self, cloud_id: str, instance_id: str, pod: str, address: str) -> None:
        """A pod of the instance has its code and will listen at that address, from which it came."""

    def build(self, cloud_id: str, job_id: str) -> BuildSpec:
        """Ids, source, names of micros and output limit of a build that is there. Raises NotFound."""


class BundleServer(ThreadingHTTPServer):
    """A thread per request: few are there at a time, and what they do is copying files."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], store: Path, key: bytes, wishes: Wishes) -> None:
        self.store, self.key, self.wishes = store, key, wishes
        self.results = Results(store)
        super().__init__(address, Handler)


class Handler(BaseHTTPRequestHandler):
    server: BundleServer
    protocol_version = "HTTP/1.1"
    server_version = "freehold"
    sys_version = ""
    timeout = _SOCKET_S

    def do_GET(self) -> None:
        self._answering(self._get)

    def do_PUT(self) -> None:
        self._answering(self._put)

    def _answering(self, act: Callable[[], None]) -> None:
        try:
            act()
        except NotFound as error:
            self._say(HTTPStatus.NOT_FOUND, str(error))
        except Permanent as error:
            self._say(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
        except ClusterError as error:
            self._say(HTTPStatus.SERVICE_UNAVAILABLE, str(error))

    def _get(self) -> None:
        if self.path == "/healthz":
            return self._say(HTTPStatus.OK, "ok")
        bearer = self._bearer()
        if bearer is None:
            return self._say(HTTPStatus.UNAUTHORIZED, "no such token")
        where, _, what = self.path.lstrip("/").partition("/")
        if where == "artifacts":
            return self._send_artifact(bearer, what)
        if where == "results" and bearer.kind is Kind.DRIVER and what.count("/") == 1:
            found = self.server.results.find(*what.split("/"))
            return self._send(HTTPStatus.OK, encode(found)) if found else self._say(HTTPStatus.NOT_FOUND, "no result")
        return self._say(HTTPStatus.NOT_FOUND, "nothing here")

    def _put(self) -> None:
        self.close_connection = True  # whatever of the body was not read must not be taken for a request
        bearer, length = self._bearer(), self.headers.get("Content-Length", "")
        if bearer is None or bearer.kind is not Kind.BUILD:
            return self._say(HTTPStatus.UNAUTHORIZED, "no such token")
        if not length.isdigit():
            return self._say(HTTPStatus.LENGTH_REQUIRED, "the length must be said first")
        spec = self.server.wishes.build(bearer.cloud_id, bearer.owner_id)
        if int(length) > spec.output_limit_mib * 1024**2 + _OVERHEAD_BYTES:
            return self._say(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {spec.output_limit_mib} MiB")
        result = self.server.results.accept(spec, self.rfile, int(length))
        return self._send(HTTPStatus.CREATED, encode(result))

    def _send_artifact(self, bearer: Bearer, digest: str) -> None:
        if not self._may_have(bearer, digest):
            raise NotFound("nothing of that name is wanted here")
        try:
            content = artifacts.path_of(self.server.store, digest).open("rb")
        except FileNotFoundError as error:
            raise NotFound(f"{digest} is not in the artifact store") from error
        with content:
            size = content.seek(0, 2)
            content.seek(0)
            self._head(HTTPStatus.OK, size, "application/octet-stream")
            shutil.copyfileobj(content, self.wfile, 1024 * 1024)
        if bearer.kind is Kind.INSTANCE:
            self._note_whereabouts(bearer)

    def _note_whereabouts(self, bearer: Bearer) -> None:
        """The kubelet tells of a pod's address up to a second later. It counts only where it is the asker's own: behind
        an address that was translated there is somebody else."""
        pod, address = self.headers.get("X-Freehold-Pod", ""), self.headers.get("X-Freehold-Address", "")
        if not pod or address != self.client_address[0]:
            return
        try:
            self.server.wishes.comes_up(bearer.cloud_id, bearer.owner_id, pod, address)
        except ClusterError as error:
            log.warning("event=whereabouts_not_told instance=%s why=%s", bearer.owner_id, error)

    def _may_have(self, bearer: Bearer, digest: str) -> bool:
        if bearer.kind is Kind.INSTANCE:
            return self.server.wishes.wants(bearer.cloud_id, bearer.owner_id, digest)
        return bearer.kind is Kind.BUILD and self.server.wishes.build(bearer.cloud_id, bearer.owner_id).source == digest

    def _bearer(self) -> Bearer | None:
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        return tokens.check(self.server.key, token) if scheme == "Bearer" else None

    def _say(self, status: HTTPStatus, text: str) -> None:
        self._send(status, text.encode(), "text/plain; charset=utf-8")

    def _send(self, status: HTTPStatus, body: bytes, kind: str = "application/json") -> None:
        self._head(status, len(body), kind)
        self.wfile.write(body)

    def _head(self, status: HTTPStatus, size: int, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(size))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Tokens are in headers and never in lines; the digest of the token tells askers apart."""
        if getattr(self, "path", "") == "/healthz":
            return
        token = self.headers.get("Authorization", "") if hasattr(self, "headers") else ""
        log.info("event=bundle_request asker=%s %s", hashlib.sha256(token.encode()).hexdigest()[:_SHOWN], format % args)
