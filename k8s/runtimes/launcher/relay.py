"""Sees an app begin to listen, and carries the pod's address to 127.0.0.1 where it listens only there."""

import contextlib
import socket
import threading

_LOOPBACK = ("127.0.0.1", "::1")
_OUTSIDE = ("192.0.2.1", "2001:db8::1")  # of documentation
_ANSWER_S = 0.2
_BACKLOG, _CHUNK = 128, 65_536


class Listening:
    """look() returns True once something listens on `port`; a relay is running then, if one is needed.

    By connecting, as the kubelet's probe does: reading /proc/net/tcp takes 7 ms of the processor each time, whatever is in
    it, and an app that may have a fifth of a core waits for that five times over.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.seen = False

    def look(self) -> bool:
        own = _own_addresses()
        if not any(_accepts(address, self.port) for address in own):
            inner = next((address for address in _LOOPBACK if _accepts(address, self.port)), None)
            if inner is None:
                return False
            for outer in own:
                with contextlib.suppress(OSError):  # it has begun to listen there meanwhile
                    _relay(outer, inner, self.port)
        self.seen = True
        return True


def _accepts(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), _ANSWER_S).close()
    except OSError:
        return False
    return True


def _own_addresses() -> list[str]:
    """Of the interfaces that lead out; nothing is sent."""
    found = []
    for outside in _OUTSIDE:
        with contextlib.suppress(OSError), socket.socket(_family(outside), socket.SOCK_DGRAM) as probe:
            probe.connect((outside, 9))
            found.append(str(probe.getsockname()[0]))
    return found


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _relay(outer: str, inner: str, port: int) -> None:
    server = socket.create_server((outer, port), family=_family(outer), backlog=_BACKLOG)
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
