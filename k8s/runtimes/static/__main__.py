"""`python -m k8s.runtimes.static --listen 127.0.0.1:PORT --store DIR --bundles DIR`

Listens where only the gate can reach it: whoever may name a digest sees its files. Ends on TERM or Ctrl-C.
"""

import argparse
import asyncio
import signal
from pathlib import Path

from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server.embed import Server

from k8s.local.artifacts import ensure_unpacked
from k8s.runtimes.static.app import StaticApp


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve the files of static micros to the gate.")
    parser.add_argument("--listen", required=True, metavar="ADDRESS:PORT")
    parser.add_argument("--store", type=Path, required=True, help="artifacts by digest")
    parser.add_argument("--bundles", type=Path, required=True, help="where artifacts are unpacked")
    arguments = parser.parse_args()
    asyncio.run(_serve(arguments.listen, StaticApp(arguments.store, arguments.bundles, ensure_unpacked)))


async def _serve(listen: str, app: StaticApp) -> None:
    address, _, port = listen.rpartition(":")
    # In this process rather than in a child of granian's, which would cost as much memory again.
    server = Server(
        app,
        address=address.strip("[]"),
        port=int(port),
        interface=Interfaces.ASGINL,
        log_access=False,
        log_level=LogLevels.error,
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    await server.serve()


if __name__ == "__main__":
    main()
