"""Requests that no library would send: every spelling of host, path and header that a proxy might misread."""

import contextlib
import socket


def send(port: int, request: bytes, *, limit_bytes: int = 65_536, timeout_s: float = 5) -> bytes:
    """What the gate answers to these exact bytes; b"" when it hangs up or says nothing in time."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as connection, contextlib.suppress(OSError):
        connection.sendall(request)
        while len(answer) < limit_bytes and (more := connection.recv(8192)):
            answer += more
    return answer


def get(target: str, *hosts: str, method: str = "GET", headers: tuple[str, ...] = ()) -> bytes:
    """A request as bytes: one Host line per name, then `headers` as they are."""
    lines = [f"{method} {target} HTTP/1.1", *(f"Host: {host}" for host in hosts), *headers, "Connection: close"]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def websocket(target: str, host: str, *headers: str) -> bytes:
    upgrade = ("Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
    lines = [f"GET {target} HTTP/1.1", f"Host: {host}", "Connection: Upgrade", *upgrade, *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
