"""Data for apps and the gate, administration for the provider: on a listener each, or both on one."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from tenants.data_server import disk
from tenants.data_server.admin_api import AdminApp
from tenants.data_server.app import DataApp
from tenants.data_server.registry import Registry
from tenants.data_server.wire import Receive, Scope, Send

log = logging.getLogger(__name__)
_HOUSE_S = 5.0
_BACKLOG = 512
_BELOW = "below:"


@dataclass(frozen=True)
class Secrets:
    """master: of derived keys. gate: of the gate's tokens. admin: the provider's token."""

    master: bytes
    gate: bytes
    admin: str


@dataclass(frozen=True)
class Certificate:
    chain: Path
    key: Path


@dataclass(frozen=True)
class Settings:
    """data, admin: `host:port` or `unix:/path`; admin also `below:/path`, a part of the data address that nobody outside may
    reach. certificate: the data address speaks TLS with it. grace_s: for requests that run when it is told to end."""

    folder: Path
    data: str
    admin: str
    secrets: Secrets
    certificate: Certificate | None = None
    grace_s: int = 10


class OneAddress:
    """Requests below `path` are the provider's, all others for data."""

    def __init__(self, data: DataApp, admin: AdminApp, path: str) -> None:
        self._data, self._admin, self._prefix = data, admin, f"{path}/".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["raw_path"].startswith(self._prefix):
            scope = {**scope, "raw_path": b"/" + scope["raw_path"].removeprefix(self._prefix)}
            await self._admin(scope, receive, send)
        else:
            await self._data(scope, receive, send)


class _Server(uvicorn.Server):
    """Signals are for both servers, so neither takes them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run(settings: Settings) -> None:
    """Until SIGTERM or SIGINT. Raises disk.Unusable."""
    lock = disk.claim(settings.folder)
    disk.check(settings.folder)
    try:
        asyncio.run(_serve(settings))
    finally:
        os.close(lock)


async def _serve(settings: Settings) -> None:
    registry = Registry(settings.folder, settings.secrets.master)
    admin = AdminApp(registry, settings.secrets.admin)
    servers = _servers(settings, DataApp(registry, settings.secrets.gate), admin)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _end, list(servers))
    house = asyncio.create_task(_keep_house(registry, admin))
    try:
        log.info("event=data_server_started data=%s admin=%s", settings.data, settings.admin)
        await asyncio.gather(*(server.serve(sockets=[where]) for server, where in servers.items()))
    finally:
        house.cancel()
        await asyncio.wait([house])
        registry.close()


def _servers(settings: Settings, data: DataApp, admin: AdminApp) -> dict[_Server, socket.socket]:
    certificate = settings.certificate
    tls: dict[str, Any] = {"ssl_certfile": certificate.chain, "ssl_keyfile": certificate.key} if certificate else {}
    if settings.admin.startswith(_BELOW):
        both = OneAddress(data, admin, settings.admin.removeprefix(_BELOW))
        return {_server(both, settings.grace_s, **tls): listener(settings.data)}
    return {
        _server(data, settings.grace_s, **tls): listener(settings.data),
        _server(admin, settings.grace_s): listener(settings.admin),
    }


def _server(app: Any, grace_s: int, **tls: Any) -> _Server:
    config = uvicorn.Config(
        app, interface="asgi3", lifespan="off", log_config=None, access_log=False, server_header=False, date_header=True,
        timeout_graceful_shutdown=grace_s, timeout_keep_alive=75, http="httptools", ws="none", proxy_headers=False, **tls,
    )  # fmt: skip
    return _Server(config)


def _end(servers: list[_Server]) -> None:
    for server in servers:
        server.should_exit = True


async def _keep_house(registry: Registry, admin: AdminApp) -> None:
    while True:
        admin.exports.end_old()
        await registry.keep_house()
        await asyncio.sleep(_HOUSE_S)


def listener(address: str) -> socket.socket:
    """Listening on `host:port` or `unix:/path`, the latter for this user alone, taking the place of a stale socket."""
    if address.startswith("unix:"):
        path = Path(address.removeprefix("unix:"))
        path.unlink(missing_ok=True)
        made = socket.socket(socket.AF_UNIX)
        before = os.umask(0o177)
        try:
            made.bind(str(path))
        finally:
            os.umask(before)
    else:
        host, _, port = address.rpartition(":")
        # asyncio sends small answers at once (TCP_NODELAY) only where the protocol is named.
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host.strip("[]"), int(port)))
    made.listen(_BACKLOG)
    made.setblocking(False)
    return made
