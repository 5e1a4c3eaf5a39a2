"""`manage.py up`: the steps from a command line to a running Freehold."""

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from provider.up import attach, cluster, home, machine, ports, postgres, secretfile, status, table
from provider.up.child import SOURCE
from provider.up.complaint import Complaint
from provider.up.firsttime import Preparation
from provider.up.logs import say
from provider.up.supervisor import State, Supervisor, end_leftovers

LEAF_NAMES = (table.CONSOLE_HOST, f"*.{table.APPS_DOMAIN}", "localhost")
LEAF_AGE_S = 300 * 86_400


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, default=8000, help="plain http port of the gate (8000)")
    parser.add_argument("--tls-port", type=int, default=8443, help="https port of the gate (8443)")
    parser.add_argument("--home", type=Path, default=attach.default_home(), help="state (var/)")


def main(arguments: list[str]) -> int:
    """Exit code: 0 after an ordinary stop, 1 after a complaint."""
    parser = argparse.ArgumentParser(
        prog="manage.py up", description="Run Freehold on this machine, in the foreground."
    )
    add_arguments(parser)
    options = parser.parse_args(arguments)
    os.umask(0o077)
    try:
        elsewhere = cluster.chosen()
        if elsewhere is None:
            machine.check_isolation()
        machine.check_tools(sandboxes=elsewhere is None)
        place = home.prepare(options.home)
        home.lock(place)
        asyncio.run(_up(place, options.port, options.tls_port, elsewhere))
    except Complaint as complaint:
        print(f"freehold: {complaint}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


async def _up(place: home.Home, port: int, tls_port: int, elsewhere: cluster.Kubernetes | None) -> None:
    began = time.monotonic()
    await end_leftovers(place)
    _check_ports(place, port, tls_port)
    secrets = secretfile.load(place.path)
    _ensure_certificates(place.path)
    database = postgres.cluster(place, secrets)
    database.ensure_data()
    if elsewhere:
        cluster.ensure_key(place)
    attach.remember(place, port, tls_port, elsewhere)
    preparation = Preparation(place, SOURCE, elsewhere.url if elsewhere else "")
    steps = preparation.environment(database.url(owner=True)) if preparation.needed else None
    plan = table.Plan(place, port, tls_port, database, secrets, steps, elsewhere)
    supervisor = Supervisor(place, table.full(plan))
    listen_for_signals(supervisor)
    await status.serve(supervisor)
    greeting = asyncio.create_task(_greet(supervisor, plan, preparation, began))
    try:
        await supervisor.run()
    finally:
        greeting.cancel()
        place.status_socket.unlink(missing_ok=True)
        say("Stopped.")


def _ensure_certificates(folder: Path) -> None:
    leaf = folder / "gate.pem"
    known = all((folder / name).exists() for name in ("ca.pem", "gate.pem", "sandbox-ca.pem", "former.pem"))
    if known and time.time() - leaf.stat().st_mtime < LEAF_AGE_S:
        return
    # In a process of its own: the library would cost 10 MiB for as long as the supervisor runs.
    subprocess.run((sys.executable, "-m", "provider.up.authority", str(folder), *LEAF_NAMES), cwd=SOURCE, check=True)


def _check_ports(place: home.Home, port: int, tls_port: int) -> None:
    machine.check_port(port, "--port")
    machine.check_port(tls_port, "--tls-port")
    ports.choose(place.path)


def listen_for_signals(supervisor: Supervisor) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, supervisor.ask_to_stop)


async def _greet(supervisor: Supervisor, plan: table.Plan, preparation: Preparation, began: float) -> None:
    """Say where the console is once every process that stays has answered and the catalog is there, or cannot be."""
    staying = [member for member in supervisor.members.values() if not member.process.once]
    for member in staying:
        await member.ready.wait()
    console = f"http://{table.CONSOLE_HOST}:{plan.port}"
    preparation.done(console)
    while any(m.process.once and m.state not in (State.DONE, State.FAILING) for m in supervisor.members.values()):
        await asyncio.sleep(0.1)
    failing = [m.process.name for m in supervisor.members.values() if m.state not in (State.OK, State.DONE)]
    say(f"Freehold is ready after {time.monotonic() - began:.1f} s: {console}")
    say(f"https://{table.CONSOLE_HOST}:{plan.tls_port} needs a browser that trusts {plan.home.path}/ca.pem.")
    say(f"Metrics are at http://127.0.0.1:{plan.home.ports.metrics}/metrics.")
    if failing:
        say(f"Not well: {', '.join(failing)}.")
