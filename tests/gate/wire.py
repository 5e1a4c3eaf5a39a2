"""Requests byte by byte, and upstreams that remember what reached them: both ends of the gate, without a library between."""

import base64
import hashlib
import http.client
import json
import socket
import socketserver
import ssl
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Reply:
    """headers: lower-case names, in order, repeated ones kept."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key == name), "")

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass(frozen=True)
class Door:
    """One listener of the gate."""

    port: int
    tls: bool = False

    def connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT_S)
        if not self.tls:
            return connection
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(connection, server_hostname="x.apps.localhost")

    def send(self, raw: bytes, method: str = "GET") -> Reply:
        with self.connect() as connection:
            connection.sendall(raw)
            return read_reply(connection, method)

    def ask(
        self, host: str, target: str = "/", *headers: tuple[str, str], method: str = "GET", body: bytes = b""
    ) -> Reply:
        """`headers` as they are; Host first, Content-Length where there is a body."""
        return self.send(spell(host, target, *headers, method=method, body=body), method)


def spell(host: str, target: str, *headers: tuple[str, str], method: str = "GET", body: bytes = b"") -> bytes:
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers)]
    if body or method in ("POST", "PUT"):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def read_reply(connection: socket.socket, method: str = "GET") -> Reply:
    answer = http.client.HTTPResponse(connection, method=method)
    answer.begin()
    headers = tuple((name.lower(), value) for name, value in answer.getheaders())
    body = b"" if answer.status == 101 else answer.read()
    return Reply(answer.status, headers, body)


@dataclass
class Seen:
    """A request as an upstream received it."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name), None)

    @property
    def names(self) -> set[str]:
        return {key.lower() for key, _ in self.headers}


@dataclass
class Upstream:
    """Answers every request with its own name and what it saw; `/events` streams, upgrades are echoed."""

    name: str
    seen: list[Seen] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    def __post_init__(self) -> None:
        upstream = self

        class Handler(_Recorder):
            owner = upstream

        self._server = _Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def last(self) -> Seen:
        return self.seen[-1]

    def close(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads, allow_reuse_address, request_queue_size = True, True, 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """The proxy ends idle connections as it likes."""


class _Recorder(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: Upstream

    def do_anything(self) -> None:
        body = self._body()
        self.owner.seen.append(Seen(self.command, self.path, list(self.headers.items()), body))
        if self.headers.get("upgrade") == "websocket":
            self._echo()
        elif self.path.startswith("/events"):
            self._stream()
        else:
            self._answer(body)

    def _body(self) -> bytes:
        if "chunked" not in (self.headers.get("transfer-encoding") or "").lower():
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return body

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_anything

    def _answer(self, body: bytes) -> None:
        text = json.dumps({"from": self.owner.name, "path": self.path, "bytes": len(body)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Set-Cookie", "theme=dark; Path=/")
        self.send_header("Set-Cookie", "freehold_app=planted; Path=/")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"data: first\n\n")
        self.wfile.flush()
        self.owner.release.wait(TIMEOUT_S)
        self.wfile.write(b"data: second\n\n")
        self.close_connection = True

    def _echo(self) -> None:
        key = self.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.end_headers()
        while data := self.connection.recv(65536):
            self.connection.sendall(data)
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        pass
