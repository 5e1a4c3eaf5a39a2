"""The data server as an instance of a cloud: data and administration behind one port, since a micro has one.

`python -m tenants.data_program` inside a sandbox, on $PORT, with its volume at /data. The gate passes on nothing below
`/__admin`; the provider comes there with its token. Imports no Django: little but `tenants.data_server` is packed with it.
"""

import logging
import os
import sys
from pathlib import Path

from tenants.data_secrets import ADMIN_PATH
from tenants.data_server import disk, serving
from tenants.data_server.errors import Refused

FOLDER = Path("/data")
_GRACE_S = 8  # a cluster gives ten seconds


def main(folder: Path = FOLDER) -> int:
    """Exit code 2 for a folder that cannot hold data."""
    logging.basicConfig(level=logging.INFO, format="level=%(levelname)s logger=%(name)s %(message)s")
    master, gate = (bytes.fromhex(os.environ.pop(f"FREEHOLD_DATA_{name}")) for name in ("MASTER", "GATE"))
    secrets = serving.Secrets(master, gate, os.environ.pop("FREEHOLD_DATA_ADMIN"))
    # Inside the sandbox; who reaches it is decided outside.
    data, admin = f"0.0.0.0:{int(os.environ['PORT'])}", f"below:{ADMIN_PATH}"
    try:
        serving.run(serving.Settings(folder, data, admin, secrets, grace_s=_GRACE_S))
    except (disk.Unusable, Refused) as error:
        print(f"data server: {error}", file=sys.stderr)  # noqa: T201 - nobody reads logs of what did not start
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
