"""`dev`, `dev trigger` and `exec`: an app on this machine as it will be in a cloud."""

import asyncio
import json
import os
import secrets
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import httpx
import typer

from apps_catalog.spacefile import Spacefile
from provider.cli import data_access, dev_data, dev_micros, project
from provider.cli.dev_http import HEAD_LIMIT
from provider.cli.dev_micros import Running
from provider.cli.dev_proxy import Place, Router
from provider.cli.failures import Failure
from provider.cli.publishing import checked
from provider.cli.screen import Screen
from provider.cli.session import AsJson, showing_failures

Dir = Annotated[Path, typer.Option("--dir", "-d", help="The folder with the Spacefile.")]
Port = Annotated[int | None, typer.Option("--port", "-p", min=1, max=65535, help="4200, or the next free one.")]
Host = Annotated[str, typer.Option("--host", "-H", help="The address to listen on.")]
Open = Annotated[bool, typer.Option("--open", help="Open it in the browser.")]
Action = Annotated[str, typer.Argument(help="The id of an action in the Spacefile.")]
Command = Annotated[list[str], typer.Argument(help="The command and its arguments, after --.")]
HERE = Path()
_OWNER = {"X-Freehold-User": "usrdev", "X-Freehold-Email": "owner@localhost", "X-Freehold-Role": "owner"}
app = typer.Typer(help="Run the project's micros here, behind one address, as its signed-in owner.")


@app.callback(invoke_without_command=True)
def dev(
    context: typer.Context, directory: Dir = HERE, port: Port = None, host: Host = "localhost", open_it: Open = False
) -> None:
    if context.invoked_subcommand is not None:
        return
    with showing_failures(False) as screen:
        root = project.folder(directory)
        spacefile = checked(root)
        first = port or dev_micros.free_port(dev_micros.FIRST_PORT)
        running = dev_micros.plan(spacefile, root, first)
        try:
            data = data_access.environment(root, screen)
            asyncio.run(_serve(screen, root, running, Address(host, first), data, open_it))
        finally:
            _forget_ports(root, running)


@app.command()
def trigger(action: Action, directory: Dir = HERE, as_json: AsJson = False) -> None:
    """Do a scheduled action now, in the micros that `freehold dev` runs."""
    with showing_failures(as_json) as screen:
        root = project.folder(directory)
        name, path = _doer_of(checked(root), action)
        url = f"http://127.0.0.1:{_port_of(root, name)}{path}"
        try:
            answer = httpx.post(url, json={"event": {"id": action, "trigger": "schedule"}}, timeout=30)
        except httpx.TransportError as error:
            raise Failure(f"Micro {name} does not answer. Is `freehold dev` running?", code="not_running") from error
        screen.say(answer.text)
        screen.document({"action": action, "micro": name, "status": answer.status_code, "body": answer.text})
        if answer.is_error:
            if not as_json:
                raise Failure(f"Micro {name} answered {answer.status_code}.", code="action_failed")
            raise typer.Exit(1)


def exec_(command: Command, directory: Dir = HERE) -> None:
    """Run a command with the environment of the project's primary micro."""
    with showing_failures(False) as screen:
        root = project.folder(directory)
        micro = checked(root).primary
        data = data_access.environment(root, screen)
        env = dev_micros.environment(micro, dev_micros.FIRST_PORT, f"localhost:{dev_micros.FIRST_PORT}", "", data)
        try:
            raise typer.Exit(subprocess.run(command, env=env).returncode)
        except OSError as error:
            raise Failure(f"{command[0]} cannot be run: {error.strerror}", code="not_run", field="command") from error


@dataclass(frozen=True)
class Address:
    host: str
    port: int


async def _serve(
    screen: Screen, root: Path, running: list[Running], at: Address, data: Mapping[str, str], open_it: bool
) -> None:
    """Until Ctrl-C, or until a micro ends with an error, which is then the command's."""
    host, port = at.host, at.port
    places = [_place(entry) for entry in running if entry.command or entry.micro.serve is not None]
    for entry in running:
        if not entry.command and entry.micro.serve is None:
            lacks = (
                "it is an image, and the Spacefile says no dev" if entry.micro.image else "there is neither dev nor run"
            )
            screen.say(f"{entry.micro.name} is left out: {lacks}.", "yellow")
    router = Router(places, _OWNER, dev_data.of({**os.environ, **data}))
    try:
        server = await asyncio.start_server(router.serve, host, port, limit=HEAD_LIMIT)
    except OSError as error:
        raise Failure(f"{host}:{port} cannot be listened on: {error.strerror}", code="no_port", field="port") from error
    api_key = secrets.token_urlsafe(24)
    started = [entry for entry in running if entry.command]
    tasks = [asyncio.create_task(_run(screen, entry, f"localhost:{port}", api_key, data)) for entry in started]
    _write_ports(root, started)
    for entry in running:
        screen.say(f"  /{entry.micro.mount} → {entry.micro.name}" + (f" (port {entry.port})" if entry.command else ""))
    screen.say(f"http://{host}:{port}/ is your app, with you as its owner. Ctrl-C ends it.", "green")
    if open_it:
        typer.launch(f"http://{host}:{port}/")
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    waiting = asyncio.create_task(stopped.wait())
    try:
        # Tasks of micros end only when one of them fails.
        await asyncio.wait([*tasks, waiting], return_when=asyncio.FIRST_COMPLETED)
    finally:
        server.close()
        waiting.cancel()
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for outcome in ended:
        if isinstance(outcome, Failure):
            raise outcome


async def _run(screen: Screen, entry: Running, authority: str, api_key: str, data: Mapping[str, str]) -> None:
    env = dev_micros.environment(entry.micro, entry.port, authority, api_key, data)
    status = await dev_micros.run(entry, env, screen.say)
    if status:
        raise Failure(f"Micro {entry.micro.name} ended with status {status}: {entry.command}", code="micro_ended")
    screen.say(f"[{entry.micro.name}] ended.", "yellow")
    await asyncio.Event().wait()


def _place(entry: Running) -> Place:
    if entry.command:
        return Place(entry.micro.name, entry.micro.mount, port=entry.port)
    return Place(entry.micro.name, entry.micro.mount, folder=entry.folder / (entry.micro.serve or "."))


def _doer_of(spacefile: Spacefile, action: str) -> tuple[str, str]:
    """The micro's name, and what is posted to."""
    for micro in spacefile.micros:
        for known in micro.actions:
            if known.id == action:
                return micro.name, "/" + (known.path or "__space/v0/actions").lstrip("/")
    known_ids = ", ".join(known.id for micro in spacefile.micros for known in micro.actions) or "none"
    raise Failure(f"The Spacefile has no action {action!r}; there are: {known_ids}.", code="no_action", field="action")


def _ports(root: Path) -> Path:
    return root / ".space" / "micros"


def _write_ports(root: Path, running: list[Running]) -> None:
    """So that `dev trigger` in another terminal finds them."""
    folder = _ports(root)
    folder.mkdir(parents=True, exist_ok=True)
    (root / ".space" / ".gitignore").write_text("*\n", encoding="utf-8")
    for entry in running:
        (folder / f"{entry.micro.name}.port").write_text(json.dumps(entry.port), encoding="utf-8")


def _forget_ports(root: Path, running: list[Running]) -> None:
    for entry in running:
        (_ports(root) / f"{entry.micro.name}.port").unlink(missing_ok=True)


def _port_of(root: Path, name: str) -> int:
    try:
        return int((_ports(root) / f"{name}.port").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Failure(f"Micro {name} is not running. Start it with: freehold dev", code="not_running") from error
