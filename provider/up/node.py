"""How the supervisor starts the node agent and asks it to stop every instance."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from k8s.local.layout import network_plan
from provider.up.home import Home
from provider.up.process import Probe


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
    }
    trusted = [f"--ca-file={home.path / name}" for name in ("ca.pem", "sandbox-ca.pem")]
    allowed = [
        f"--allow-net={net.strip()}" for net in os.environ.get("FREEHOLD_ALLOW_NET", "").split(",") if net.strip()
    ]
    bare = [] if os.geteuid() == 0 else ["--allow-unisolated"]  # asked for in machine.check_isolation
    return (*(str(word) for pair in pairs.items() for word in pair), *trusted, *allowed, *bare)


def bridge_address(home: Home) -> str:
    """Where sandboxes reach the gate; "" without root, where they share the machine's own addresses."""
    return str(network_plan(home.path / "node").gate_address) if os.geteuid() == 0 else ""


async def _ask(home: Home, verb: str) -> dict[str, str]:
    reader, writer = await asyncio.open_unix_connection(str(socket(home)))
    try:
        writer.write(json.dumps({"verb": verb}).encode() + b"\n")
        answer: dict[str, str] = json.loads(await reader.readline() or b"{}")
        return answer
    finally:
        writer.close()


def ping(home: Home) -> Probe:
    async def probe(_started_at: float) -> str:
        answer = await _ask(home, "ping")
        return "" if answer.get("status") == "ok" else f"answers {answer!r}"

    return probe


def shutdown(home: Home) -> Callable[[], Awaitable[None]]:
    """Asks the agent to end all instances; it answers when they are gone, and then ends itself."""

    async def ask() -> None:
        await _ask(home, "shutdown")

    return ask
