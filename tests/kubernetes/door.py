"""A way to the apiserver that can be shut: connections break off and new ones are refused, as when it is away."""

import contextlib
import json
import socket
import threading
from pathlib import Path
from urllib.parse import urlsplit

import yaml

_CHUNK = 65_536


class Door:
    def __init__(self, kubeconfig: str, folder: Path) -> None:
        """`kubeconfig` (a path) then leads through this door. The server must know itself as 127.0.0.1."""
        content = yaml.safe_load(Path(kubeconfig).read_text())
        cluster = content["clusters"][0]["cluster"]
        there = urlsplit(cluster["server"])
        self._target = (there.hostname or "", there.port or 443)
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._lock = threading.Lock()
        self._server = socket.create_server(("127.0.0.1", 0))
        self._port = self._server.getsockname()[1]
        cluster["server"] = f"https://127.0.0.1:{self._port}"
        self.kubeconfig = str(folder / "through-the-door.json")
        Path(self.kubeconfig).write_text(json.dumps(content))
        self._serve()

    def shut(self) -> None:
        with contextlib.suppress(OSError):  # shut already
            # A thread that waits in accept() keeps a merely closed socket alive, and would let one more through.
            self._server.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._server.close()
            pairs, self._pairs = self._pairs, []
        for end in (end for pair in pairs for end in pair):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def open(self) -> None:
        self._server = socket.create_server(("127.0.0.1", self._port))
        self._serve()

    def _serve(self) -> None:
        threading.Thread(target=self._accept, args=(self._server,), daemon=True).start()

    def _accept(self, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = server.accept()
                there = socket.create_connection(self._target)
                with self._lock:
                    if server.fileno() < 0:  # shut meanwhile
                        client.close()
                        there.close()
                        return
                    self._pairs.append((client, there))
                for source, sink in ((client, there), (there, client)):
                    threading.Thread(target=_copy, args=(source, sink), daemon=True).start()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(_CHUNK):
            sink.sendall(chunk)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
