"""`python -m provider.gate.ready`: exit code 0 once the proxy has its maps. For a pod's probe; imports no Django."""

import socket
import sys

from provider.gate import config

_TIMEOUT_S = 2.0


def main() -> int:
    inner = config.from_environment().inner_socket
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_TIMEOUT_S)
            connection.connect(str(inner))
            connection.sendall(b"GET /ready HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n\r\n")
            with connection.makefile("rb") as answer:
                words = answer.readline().split()
    except OSError as error:
        print(f"the proxy does not answer: {error}", file=sys.stderr)  # noqa: T201 - the kubelet shows it
        return 1
    return int(words[1:2] != [b"200"])


if __name__ == "__main__":
    sys.exit(main())
