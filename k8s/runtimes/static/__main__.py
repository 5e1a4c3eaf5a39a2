"""`python -m k8s.runtimes.static --listen 127.0.0.1:PORT --store DIR --bundles DIR [--clears]`

Listens where only the gate can reach it: whoever may name a digest sees its files. Ends on TERM or Ctrl-C.
"""

import argparse
import asyncio
import signal
from pathlib import Path

from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server.embed import Server

from k8s.local.artifacts import clear_unused, ensure_unpacked
from k8s.runtimes.static.app import StaticApp

_CLEAR_S = 600


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve the files of static micros to the gate.")
    parser.add_argument("--listen", required=True, metavar="ADDRESS:PORT")
    parser.add_argument("--store", type=Path, required=True, help="artifacts by digest")
    parser.add_argument("--bundles", type=Path, required=True, help="where artifacts are unpacked")
    parser.add_argument(
        "--clears", action="store_true", help="delete unpacked ones that nobody wants (nobody else does)"
    )
    arguments = parser.parse_args()
    app = StaticApp(arguments.store, arguments.bundles, ensure_unpacked)
    asyncio.run(_serve(arguments.listen, app, arguments.bundles if arguments.clears else None))


async def _serve(listen: str, app: StaticApp, clearing: Path | None) -> None:
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
    clearer = asyncio.create_task(_clear(clearing)) if clearing else None
    await server.serve()
    if clearer:
        clearer.cancel()


async def _clear(bundles: Path) -> None:
    """What was not asked for in the last hour; the archive stays in the store and is unpacked again when wanted."""
    while True:
        await asyncio.to_thread(clear_unused, bundles, ())
        await asyncio.sleep(_CLEAR_S)


if __name__ == "__main__":
    main()
