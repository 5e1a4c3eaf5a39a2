"""`python -m tenants.data_server --folder DIR --data ADDRESS --admin ADDRESS [--certificate FILE --certificate-key FILE]`.

Secrets come by environment: FREEHOLD_DATA_MASTER (hex, of derived keys), FREEHOLD_DATA_GATE (hex, of the gate's tokens),
FREEHOLD_DATA_ADMIN (the provider's token).
"""

import argparse
import logging
import os
import sys
from pathlib import Path

from tenants.data_server import serving
from tenants.data_server.disk import Unusable
from tenants.data_server.errors import Refused

_LEAST_BYTES = 16


def main() -> int:
    """Exit code 2 for a folder or settings it cannot run with."""
    parser = argparse.ArgumentParser(prog="python -m tenants.data_server", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--data", required=True, metavar="ADDRESS", help="host:port or unix:/path")
    parser.add_argument("--admin", required=True, metavar="ADDRESS", help="host:port or unix:/path")
    parser.add_argument("--certificate", type=Path, metavar="FILE", help="PEM chain: the data address speaks TLS")
    parser.add_argument("--certificate-key", type=Path, metavar="FILE")
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s level=%(levelname)s logger=%(name)s %(message)s")
    try:
        secrets = serving.Secrets(
            _hex("FREEHOLD_DATA_MASTER"), _hex("FREEHOLD_DATA_GATE"), _text("FREEHOLD_DATA_ADMIN")
        )
        certificate = serving.Certificate(chosen.certificate, chosen.certificate_key) if chosen.certificate else None
        serving.run(serving.Settings(chosen.folder, chosen.data, chosen.admin, secrets, certificate))
    except (Unusable, Refused) as error:
        print(f"data server: {error}", file=sys.stderr)  # noqa: T201 - nobody reads logs of what did not start
        return 2
    return 0


def _text(name: str) -> str:
    found = os.environ.pop(name, "")
    if len(found) < _LEAST_BYTES:
        raise Unusable(f"{name} must hold at least {_LEAST_BYTES} characters")
    return found


def _hex(name: str) -> bytes:
    try:
        found = bytes.fromhex(os.environ.pop(name, ""))
    except ValueError:
        raise Unusable(f"{name} must be hexadecimal") from None
    if len(found) < _LEAST_BYTES:
        raise Unusable(f"{name} must hold at least {_LEAST_BYTES} bytes")
    return found


if __name__ == "__main__":
    sys.exit(main())
