"""Sees an app begin to listen, and carries the pod's address to 127.0.0.1 where it listens only there."""

import contextlib
import socket
import threading
from pathlib import Path

_LISTEN = "0A"
_LOOPBACK_V6 = "00000000000000000000000001000000"
_BACKLOG, _CHUNK = 128, 65_536


class Listening:
    """look() returns True once something listens on `port`; a relay is running then, if one is needed."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.seen = False

    def look(self) -> bool:
        addresses = _listeners(self.port)
        if not addresses:
            return False
        self.seen = True
        inner = next((inner for address in addresses if (inner := _loopback(address))), None)
        if inner and all(_loopback(address) for address in addresses):
            with contextlib.suppress(OSError):  # without an address of its own a pod is reached by nobody anyway
                _relay(_own_address(), inner, self.port)
        return True


def _listeners(port: int) -> set[str]:
    """Addresses, as the kernel writes them, on which TCP connections to `port` are accepted in this network namespace."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                address, _, number = fields[1].rpartition(":")
                if fields[3] == _LISTEN and int(number, 16) == port:
                    found.add(address)
    return found


def _loopback(address: str) -> str | None:
    if address == _LOOPBACK_V6:
        return "::1"
    if len(address) == 8 and address.endswith("7F"):
        return socket.inet_ntoa(bytes.fromhex(address)[::-1])
    return None


def _own_address() -> str:
    """Of the interface that leads out; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])


def _relay(outer: str, inner: str, port: int) -> None:
    server = socket.create_server((outer, port), backlog=_BACKLOG)
    threading.Thread(target=_accept, args=(server, (inner, port)), daemon=True).start()


def _accept(server: socket.socket, target: tuple[str, int]) -> None:
    while True:
        client, _ = server.accept()
        threading.Thread(target=_join, args=(client, target), daemon=True).start()


def _join(client: socket.socket, target: tuple[str, int]) -> None:
    try:
        app = socket.create_connection(target)
    except OSError:
        client.close()
        return
    back = threading.Thread(target=_copy, args=(app, client), daemon=True)
    back.start()
    _copy(client, app)
    back.join()
    client.close()
    app.close()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    """Until one side ends; the other is told, so that half-closed connections work."""
    with contextlib.suppress(OSError):
        while chunk := source.recv(_CHUNK):
            sink.sendall(chunk)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
