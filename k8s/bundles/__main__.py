"""`CLUSTER_URL=kubernetes:… python -m k8s.bundles --listen ADDRESS:PORT [--listen …] --store DIR`

The bundle server of one cell. What is wanted it asks the cluster. It listens where pods reach it; their tokens, not their
addresses, say what they may have. Ends on TERM or Ctrl-C.
"""

import argparse
import logging
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from types import FrameType

from k8s.bundles.server import BundleServer
from k8s.errors import ClusterError
from k8s.kube.address import from_url, key_of

_IP_FREEBIND = 15  # ip(7); Python names it from 3.13 on


class _Listening(BundleServer):
    def server_bind(self) -> None:
        """Before the address is there too: the bridge of a node may come with its first pod."""
        self.socket.setsockopt(socket.SOL_IP, _IP_FREEBIND, 1)
        super().server_bind()


def main() -> None:
    parser = argparse.ArgumentParser(description="Hand artifacts to pods and take what builds made.")
    parser.add_argument("--listen", required=True, action="append", metavar="ADDRESS:PORT")
    parser.add_argument("--store", type=Path, required=True, help="artifacts by digest")
    arguments = parser.parse_args()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="level=%(levelname)s logger=%(name)s %(message)s")
    signal.signal(signal.SIGTERM, _stop)
    try:
        url = os.environ["CLUSTER_URL"]
        wishes, key = from_url(url), key_of(url)
    except (KeyError, ClusterError) as error:
        sys.exit(f"the bundle server cannot start: {error}")
    servers = [_Listening(_address(listen), arguments.store, key, wishes) for listen in arguments.listen]
    for server in servers[1:]:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    servers[0].serve_forever()


def _stop(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    return host, int(port)


if __name__ == "__main__":
    main()
