"""The data of one's own copy for pages of an app that runs here: what the gate does below /__space/v0/base and /drive.

Pages bring no key and no project: whoever opens the local address is the owner. Whoever else's page in the same browser
asks is told what the gate would say.
"""

import asyncio
import ipaddress
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from provider.cli.dev_http import HEAD_LIMIT, HOP, Head, Refusal, joined, name_of, pass_on

_ROOTS = {kind: f"/__space/v0/{kind}/" for kind in ("base", "drive")}
_READING = ("GET", "HEAD", "OPTIONS")
# Who asks is said by our key alone.
_LEFT_OUT = (*HOP, "host", "cookie", "authorization", "x-api-key", "origin", "referer", "upgrade")
_CONNECT_S = 20.0


@dataclass(frozen=True)
class DataAddress:
    """key: `<project>_<secret>`. hosts: "base" and "drive" → host or host:port."""

    key: str
    hosts: Mapping[str, str]
    trust: ssl.SSLContext


def of(environment: Mapping[str, str]) -> DataAddress | None:
    """From what the micros are given; None where that names no key or no host."""
    key = environment.get("DETA_PROJECT_KEY", "").strip()
    hosts = {kind: environment.get(f"DETA_{kind.upper()}_HOST", "") for kind in _ROOTS}
    if "_" not in key or not all(hosts.values()):
        return None
    return DataAddress(key, hosts, _trusting(environment.get("SSL_CERT_FILE")))


def _trusting(file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=file or None)
    except OSError:  # the shell names a file that is not there: believe what this machine does
        return ssl.create_default_context()


def is_meant(target: str) -> bool:
    return target.startswith(tuple(_ROOTS.values()))


async def answer(
    data: DataAddress | None, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Raises Refusal, in the words and the form in which the gate refuses."""
    method, target, _ = head.first
    if not _is_own(head):
        raise _refusal("401 Unauthorized" if method in _READING else "403 Forbidden")
    if data is None:
        raise _refusal("404 Not Found", "There is no data here: freehold dev found no key or no host for it")
    kind = next(kind for kind, root in _ROOTS.items() if target.startswith(root))
    seen = _seen(kind, target, data.key.partition("_")[0])
    host = data.hosts[kind]
    lines = [f"{method} {seen} HTTP/1.1", f"Host: {host}", f"X-API-Key: {data.key}"]
    lines += [line for line in head.lines if name_of(line) not in _LEFT_OUT and not _is_ours(line)]
    upstream = await _connect(host, data.trust)
    await pass_on(joined([*lines, "Connection: close"]), (reader, writer), upstream)


def _seen(kind: str, target: str, project: str) -> str:
    """The path at the data address. Whatever the page wrote for the project, there is one."""
    rest = target.removeprefix(_ROOTS[kind])
    version, _, further = rest.partition("/")
    _, _, asked = further.partition("/")
    what = asked.partition("?")[0].partition("/")[2]
    of_base = what == "query" or what.partition("/")[0] == "items"
    if version != "v1" or not asked or of_base != (kind == "base"):
        raise _refusal("404 Not Found")
    return f"/v1/{project}/{asked}"


def _is_own(head: Head) -> bool:
    """Whether a page of this address asks, or no page at all. A stranger's name that leads here is another address."""
    host, site = head.value("host"), head.value("sec-fetch-site")
    if not _is_here(host):
        return False
    if site:  # browsers say so to addresses of this machine, and no page can
        return site in ("same-origin", "none")
    return head.value("origin") in ("", f"http://{host}")


def _is_here(host: str) -> bool:
    name = urlsplit(f"http://{host}").hostname or ""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_ours(line: str) -> bool:
    return name_of(line).replace("_", "-").startswith("x-freehold-")


def _refusal(status: str, text: str = "") -> Refusal:
    words = {"errors": [text or status.partition(" ")[2]]}
    return Refusal(status, json.dumps(words), "application/json")


async def _connect(host: str, trust: ssl.SSLContext) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Names under localhost are this machine, which not every resolver knows."""
    parts = urlsplit(f"https://{host}")
    name = parts.hostname or ""
    here = name == "localhost" or name.endswith(".localhost")
    try:
        async with asyncio.timeout(_CONNECT_S):
            return await asyncio.open_connection(
                "127.0.0.1" if here else name, parts.port or 443, ssl=trust, server_hostname=name, limit=HEAD_LIMIT
            )
    except (OSError, TimeoutError) as error:
        raise _refusal("502 Bad Gateway", f"The data at {host} cannot be reached: {error}") from error
