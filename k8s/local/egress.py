"""The only way out of a build: an HTTP CONNECT proxy that leads to the machine's package registries and nowhere else.

Which those are is asked of pip and npm when the first build starts: a mirror that the machine is configured for counts, and
no host is named here.
"""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from k8s.local.journal import log

_CONNECT_S, _HEADER_BYTES, _CHUNK = 20.0, 16_384, 65_536
_DEFAULT_INDEX = """
from pip._internal.models.index import PyPI
print(PyPI.url, "https://" + PyPI.file_storage_domain)
"""


@dataclass(frozen=True)
class Registries:
    """index_url, npm_url: for the installers; None leaves them their default. hosts: (name, port) to let through."""

    hosts: frozenset[tuple[str, int]]
    index_url: str | None = None
    npm_url: str | None = None

    @property
    def environment(self) -> dict[str, str]:
        index = {"PIP_INDEX_URL": self.index_url, "UV_DEFAULT_INDEX": self.index_url} if self.index_url else {}
        npm = {"npm_config_registry": self.npm_url} if self.npm_url else {}
        return {name: value for name, value in {**index, **npm}.items() if value}


def find_registries() -> Registries:
    """What this machine's pip and npm are configured for. Takes a second or two; a tool that is missing adds nothing."""
    index_url, extra = _pip_configuration()
    urls = [index_url] if index_url else _output(sys.executable, "-c", _DEFAULT_INDEX).split()
    npm_url = next(iter(_output("npm", "config", "get", "registry").split()), None)
    found = [urlsplit(url) for url in (*urls, *extra, npm_url or "")]
    hosts = frozenset((p.hostname, p.port or 443) for p in found if p.hostname and p.scheme == "https")
    return Registries(hosts, index_url, npm_url)


def _pip_configuration() -> tuple[str | None, list[str]]:
    """(configured index or None, further indexes); the environment's word counts last, as it does for pip."""
    index_url, extra = None, list[str]()
    for line in sorted(_output(sys.executable, "-m", "pip", "config", "list").splitlines(), key=_precedence):
        name, _, value = line.partition("=")
        if name.endswith(".index-url"):
            index_url = value.strip("'\"")
        elif name.endswith(".extra-index-url"):
            extra += value.strip("'\"").replace("\\n", " ").split()
    return index_url, extra


def _precedence(line: str) -> bool:
    return line.startswith(":env:")


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30, cwd="/").stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


class Proxy:
    """refused(address of the asker, host): called for every host that is not let through."""

    def __init__(self, hosts: frozenset[tuple[str, int]], refused: Callable[[str, str], None]) -> None:
        self._hosts, self._refused = hosts, refused

    async def serve(self, address: str, port: int) -> asyncio.Server:
        return await asyncio.start_server(self._answer, address, port, limit=_HEADER_BYTES)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_CONNECT_S):
                target = _target(await reader.readuntil(b"\r\n\r\n"))
                if target is None or target not in self._hosts:
                    self._refuse(writer, target)
                    return
                far_reader, far_writer = await asyncio.open_connection(*target)
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await _relay((reader, far_writer), (far_reader, writer))
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            log.debug("event=egress_failed detail=%s", error)
        finally:
            writer.close()

    def _refuse(self, writer: asyncio.StreamWriter, target: tuple[str, int] | None) -> None:
        self._refused(writer.get_extra_info("peername")[0], f"{target[0]}:{target[1]}" if target else "a plain request")
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def _target(header: bytes) -> tuple[str, int] | None:
    """(host, port) of a CONNECT request; None for anything else."""
    words = header.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    host, _, port = words[1].rpartition(":") if len(words) == 3 and words[0] == "CONNECT" else ("", "", "")
    return (host.lower().rstrip("."), int(port)) if host and port.isdigit() else None


async def _relay(*ways: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
    try:
        await asyncio.gather(*(_pump(reader, writer) for reader, writer in ways))
    finally:
        for _, writer in ways:
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(_CHUNK):
        writer.write(chunk)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()
