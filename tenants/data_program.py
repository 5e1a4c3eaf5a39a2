"""The data server as an instance of a cloud: data and administration behind one port, since a micro has one.

`python -m tenants.data_program` inside a sandbox, on $PORT, with its volume at /data. The gate passes on nothing below
`/__admin`; the provider comes there with its token. Imports no Django: little but `tenants.data_server` is packed with it.
"""

import asyncio
import logging
import os
import sys
from pathlib import Path

import uvicorn

from tenants.data_secrets import ADMIN_PATH
from tenants.data_server import disk
from tenants.data_server.admin_api import AdminApp
from tenants.data_server.app import DataApp
from tenants.data_server.registry import Registry
from tenants.data_server.serving import listener
from tenants.data_server.wire import Receive, Scope, Send

FOLDER = Path("/data")
_HOUSE_S = 5.0
_GRACE_S = 8  # a cluster gives ten seconds


class OneAddress:
    """Requests below `/__admin` are the provider's, all others for data."""

    def __init__(self, data: DataApp, admin: AdminApp) -> None:
        self._data, self._admin = data, admin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        prefix = f"{ADMIN_PATH}/".encode()
        if scope["type"] == "http" and scope["raw_path"].startswith(prefix):
            scope = {**scope, "raw_path": b"/" + scope["raw_path"].removeprefix(prefix)}
            await self._admin(scope, receive, send)
        else:
            await self._data(scope, receive, send)


async def serve(registry: Registry, gate: bytes, admin: str, port: int) -> None:
    """Until SIGTERM or SIGINT."""
    inner = AdminApp(registry, admin)
    config = uvicorn.Config(
        OneAddress(DataApp(registry, gate), inner),
        interface="asgi3",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_GRACE_S,
    )
    house = asyncio.create_task(_keep_house(registry, inner))
    try:
        # Inside the sandbox; who reaches it is decided outside.
        await uvicorn.Server(config).serve(sockets=[listener(f"0.0.0.0:{port}")])
    finally:
        house.cancel()
        await asyncio.wait([house])
        registry.close()


async def _keep_house(registry: Registry, admin: AdminApp) -> None:
    while True:
        admin.exports.end_old()
        await registry.keep_house()
        await asyncio.sleep(_HOUSE_S)


def main(folder: Path = FOLDER) -> int:
    """Exit code 2 for a folder that cannot hold data."""
    logging.basicConfig(level=logging.INFO, format="level=%(levelname)s logger=%(name)s %(message)s")
    master, gate = (bytes.fromhex(os.environ.pop(f"FREEHOLD_DATA_{name}")) for name in ("MASTER", "GATE"))
    admin, port = os.environ.pop("FREEHOLD_DATA_ADMIN"), int(os.environ["PORT"])
    try:
        lock = disk.claim(folder)
        disk.check(folder)
        asyncio.run(serve(Registry(folder, master), gate, admin, port))
    except disk.Unusable as error:
        print(f"data server: {error}", file=sys.stderr)  # noqa: T201 - nobody reads logs of what did not start
        return 2
    os.close(lock)
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
