"""How the supervisor starts the node agent and asks it to stop every instance."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

from provider.up.home import Home


def socket(home: Home) -> Path:
    return home.run / "node.sock"


def arguments(home: Home, port: int, tls_port: int, console_host: str, uv: str) -> tuple[str, ...]:
    pairs = {
        "--home": home.path / "node",
        "--socket": socket(home),
        "--store": home.path / "store",
        "--runtime": home.path / "runtime" / "python",
        "--uv": uv,
        "--gate-port": port,
        "--tls-port": tls_port,
        "--console-host": console_host,
        "--ca-file": home.path / "ca.pem",
    }
    return tuple(str(word) for pair in pairs.items() for word in pair)


def shutdown(home: Home) -> Callable[[], Awaitable[None]]:
    """Asks the agent to end all instances; it answers when they are gone, and then ends itself."""

    async def ask() -> None:
        reader, writer = await asyncio.open_unix_connection(str(socket(home)))
        writer.write(json.dumps({"verb": "shutdown"}).encode() + b"\n")
        await reader.readline()
        writer.close()

    return ask
