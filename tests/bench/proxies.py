"""What the gate is compared with: the same HAProxy and a Caddy that only pass requests on, before the same upstream."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from provider.programs import tool
from tests.free_ports import free_port
from tests.gate.running import wait_until
from tests.gate.wire import Door

_PLAIN = """
global
  maxconn 8192
  nbthread 2
defaults
  mode http
  timeout connect 3s
  timeout client 120s
  timeout server 300s
  timeout tunnel 1h
frontend plain
  bind 127.0.0.1:{port}
  default_backend one
backend one
  http-reuse safe
  server one {upstream} pool-purge-delay 4s
"""
_UPSTREAM = """
global
  maxconn 8192
  nbthread 1
defaults
  mode http
  timeout client 600s
frontend upstream
  bind 127.0.0.1:{port}
  http-request return status 200 content-type text/plain string "hello from an app\\n"
"""
_CADDY = """
{{
  admin off
  auto_https off
  persist_config off
  log {{
    level ERROR
  }}
}}
http://:{port} {{
  bind 127.0.0.1
  reverse_proxy {upstream}
}}
"""


@contextmanager
def upstream(folder: Path) -> Iterator[str]:
    """An app that costs next to nothing. Yields "address:port"."""
    with _haproxy(folder / "upstream.cfg", _UPSTREAM) as port:
        yield f"127.0.0.1:{port}"


@contextmanager
def echo(folder: Path) -> Iterator[str]:
    """An app whose upgraded connections send everything back. Yields "address:port"."""
    port = free_port()
    with _served((sys.executable, "-m", "tests.bench.echo", str(port)), port, folder):
        yield f"127.0.0.1:{port}"


@contextmanager
def plain(folder: Path, address: str) -> Iterator[int]:
    with _haproxy(folder / "plain.cfg", _PLAIN, upstream=address) as port:
        yield port


@contextmanager
def caddy(folder: Path, address: str) -> Iterator[int]:
    port = free_port()
    file = folder / "Caddyfile"
    file.write_text(_CADDY.format(port=port, upstream=address))
    with _served((tool("caddy"), "run", "--adapter", "caddyfile", "--config", str(file)), port, folder):
        yield port


@contextmanager
def _haproxy(file: Path, text: str, **values: str) -> Iterator[int]:
    port = free_port()
    file.write_text(text.format(port=port, **values))
    with _served(("haproxy", "-db", "-f", str(file)), port, file.parent):
        yield port


@contextmanager
def _served(command: tuple[str, ...], port: int, folder: Path) -> Iterator[None]:
    """While it answers on that port of 127.0.0.1."""
    with (folder / "proxies.log").open("ab") as log:
        process = subprocess.Popen(("setpriv", "--pdeathsig", "TERM", "--", *command), stdout=log, stderr=log)
    try:
        wait_until(lambda: _answers(port), f"{command[0]} answers")
        time.sleep(0.2)
        yield
    finally:
        process.terminate()
        process.wait(15)


def _answers(port: int) -> bool:
    try:
        return Door(port).ask("somewhere").status == 200
    except OSError:
        return False
