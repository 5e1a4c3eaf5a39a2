"""Content by digest from the bundle server, checked before anything of it is used."""

import hashlib
import http.client
import os
import socket
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from k8s.errors import ClusterError
from k8s.local import artifacts

_TRIES_S = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)  # a network that is just coming up, a server that is just being replaced
_TIMEOUT_S = 30.0
_CHUNK = 1024 * 1024


class Unavailable(Exception):
    """`str()` says why."""


@dataclass(frozen=True)
class Source:
    url: str
    token: str
    digest: str

    @classmethod
    def from_environment(cls) -> "Source":
        return cls(*(os.environ[f"FREEHOLD_BUNDLE_{name}"] for name in ("URL", "TOKEN", "DIGEST")))

    def request(self, path: str, method: str = "GET", data: IO[bytes] | None = None, size: int = 0) -> IO[bytes]:
        headers = {"Authorization": f"Bearer {self.token}", **_whereabouts(self.url)}
        if data is not None:
            headers |= {"Content-Length": str(size), "Content-Type": "application/gzip"}
        request = urllib.request.Request(f"{self.url}{path}", data, headers, method=method)  # noqa: S310 - ours
        # No proxy of a build's environment may stand between.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        answer: IO[bytes] = opener.open(request, timeout=_TIMEOUT_S)
        return answer


def _whereabouts(url: str) -> dict[str, str]:
    """Who asks and from where, as seen from here: so the server knows whether somebody translates addresses on the way."""
    there = urlsplit(url)
    try:
        family, kind, _, _, address = socket.getaddrinfo(there.hostname, there.port or 80, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as probe:
            probe.connect(address)  # sends nothing
            return {"X-Freehold-Pod": socket.gethostname(), "X-Freehold-Address": str(probe.getsockname()[0])}
    except OSError:
        return {}


def unpacked(source: Source, into: Path) -> Path:
    """The folder with the unpacked bundle; what an earlier start of the same pod left is used again. Raises Unavailable."""
    folder = into / source.digest.removeprefix("sha256:")
    if folder.is_dir():
        return folder
    store = into / ".store"
    file = artifacts.path_of(store, source.digest)
    file.parent.mkdir(parents=True, exist_ok=True)
    download(source, file)
    try:
        folder = artifacts.ensure_unpacked(store, source.digest, into)
    except ClusterError as error:
        raise Unavailable(str(error)) from error
    finally:
        file.unlink(missing_ok=True)
    _make_read_only(folder)
    return folder


def download(source: Source, file: Path) -> None:
    """Write the content to `file`. Raises Unavailable: at once when the server refuses, else after several tries."""
    for pause in (*_TRIES_S, None):
        try:
            _download(source, file)
            return
        except urllib.error.HTTPError as error:
            if error.code == 404:
                raise Unavailable(f"the bundle {source.digest} is not in the artifact store") from error
            if error.code in (400, 401, 403):
                raise Unavailable(f"the bundle server refused to give {source.digest}") from error
            problem: Exception = error
        except (OSError, http.client.HTTPException, ValueError) as error:
            problem = error
        if pause is None:
            raise Unavailable(f"the bundle server cannot be reached ({problem})") from problem
        time.sleep(pause)


def _download(source: Source, file: Path) -> None:
    digest = hashlib.sha256()
    with source.request(f"/artifacts/{source.digest}") as answer, file.open("wb") as out:
        while chunk := answer.read(_CHUNK):
            digest.update(chunk)
            out.write(chunk)
    if f"sha256:{digest.hexdigest()}" != source.digest:
        raise ValueError("what arrived has another digest")


def _make_read_only(folder: Path) -> None:
    """Against accidents: a restart in the same pod would find what the app wrote over its code."""
    for parent, _, files in os.walk(folder, topdown=False):
        for name in files:
            path = os.path.join(parent, name)  # noqa: PTH118 - os.walk's words, a hundred thousand times
            if not os.path.islink(path):  # noqa: PTH114
                os.chmod(path, 0o555 if os.access(path, os.X_OK) else 0o444)  # noqa: PTH101
        os.chmod(parent, 0o555)  # noqa: PTH101, S103
