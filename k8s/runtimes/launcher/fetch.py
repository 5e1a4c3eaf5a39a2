"""Content by digest from the bundle server, checked before anything of it is used."""

import hashlib
import os
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

from k8s.errors import ClusterError
from k8s.local import artifacts

TYPE_CHECKING = False  # what `typing` says too, at 2 ms of every start
if TYPE_CHECKING:
    from typing import IO

_TRIES_S = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)  # a network that is just coming up, a server that is just being replaced
_TIMEOUT_S = 30.0
_CHUNK = 1024 * 1024
_LINE_BYTES = 65_536


class Unavailable(Exception):
    """`str()` says why."""


class Refused(Exception):
    """The bundle server answered with another status than it should: `code`, and its words as `str()`."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code = code


class Source:
    """url: of the bundle server, http. digest: what is wanted of it. No dataclass: that costs 6 ms of every start."""

    def __init__(self, url: str, token: str, digest: str) -> None:
        self.url, self.token, self.digest = url, token, digest

    @classmethod
    def from_environment(cls) -> "Source":
        return cls(*(os.environ[f"FREEHOLD_BUNDLE_{name}"] for name in ("URL", "TOKEN", "DIGEST")))

    def get(self, path: str) -> "IO[bytes]":
        """The body of a 200, which ends with the connection. Raises Refused, OSError, ValueError.

        Without `http.client` or `urllib.request`, which take 20 ms of the processor to import: whoever wakes an app waits
        for them, five times as long where its limit is a fifth of a core.
        """
        there = urlsplit(self.url)
        link = socket.create_connection((there.hostname or "", there.port or 80), _TIMEOUT_S)
        with link:  # the file below keeps the connection until it is closed
            lines = [f"GET {there.path}{path} HTTP/1.0", f"Host: {there.netloc}"]
            lines += [f"{name}: {value}" for name, value in self._headers().items()]
            link.sendall("\r\n".join([*lines, "", ""]).encode())
            answer = link.makefile("rb")
        try:
            _require_200(answer)
        except BaseException:
            answer.close()
            raise
        return answer

    def put(self, path: str, data: "IO[bytes]", size: int) -> None:
        """Raises Refused, OSError, http.client.HTTPException."""
        import urllib.error  # see `get`
        import urllib.request

        headers = {**self._headers(), "Content-Length": str(size), "Content-Type": "application/gzip"}
        request = urllib.request.Request(f"{self.url}{path}", data, headers, method="PUT")  # noqa: S310 - ours
        # No proxy of a build's environment may stand between.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            opener.open(request, timeout=_TIMEOUT_S).close()
        except urllib.error.HTTPError as error:
            raise Refused(error.code, error.read(2000).decode(errors="replace")) from error

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}", **_whereabouts(self.url)}


def _require_200(answer: "IO[bytes]") -> None:
    """Read up to the body."""
    _, _, rest = answer.readline(_LINE_BYTES).partition(b" ")
    code = rest[:3].decode()
    if not code.isdigit():
        raise ValueError("what answers there speaks no HTTP")
    while answer.readline(_LINE_BYTES).strip():
        pass
    if code != "200":
        raise Refused(int(code), answer.read(2000).decode(errors="replace"))


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
        except Refused as error:
            if error.code == 404:
                raise Unavailable(f"the bundle {source.digest} is not in the artifact store") from error
            if error.code in (400, 401, 403):
                raise Unavailable(f"the bundle server refused to give {source.digest}") from error
            problem: Exception = error
        except (OSError, ValueError) as error:
            problem = error
        if pause is None:
            raise Unavailable(f"the bundle server cannot be reached ({problem})") from problem
        time.sleep(pause)


def _download(source: Source, file: Path) -> None:
    digest = hashlib.sha256()
    with source.get(f"/artifacts/{source.digest}") as answer, file.open("wb") as out:
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
