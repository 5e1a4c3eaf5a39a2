"""`install`, `instances`, `logs`, `uninstall` and `open`: what runs in your own cloud."""

import time
from pathlib import Path
from typing import Annotated

import typer

from provider.cli import operations, project
from provider.cli.api import Document
from provider.cli.failures import Failure, Unreachable, Usage
from provider.cli.instances import chosen, find
from provider.cli.session import AsJson, Session, Url, session

Slug = Annotated[str, typer.Argument(help="The app's name in the catalog, or the slug its developer gave you.")]
Instance = Annotated[str, typer.Argument(help="Its alias, id or host name, as `freehold instances` shows them.")]
MaybeInstance = Annotated[str | None, typer.Argument(help="Its alias, id or host; without it this folder's.")]
Alias = Annotated[str | None, typer.Option("--alias", help="How its address begins.")]
Release = Annotated[str | None, typer.Option("--release", help="The id of a release; the newest by default.")]
Config = Annotated[list[str] | None, typer.Option("--config", help="KEY=VALUE for the app; may be repeated.")]
Open = Annotated[bool, typer.Option("--open", help="Open it in the browser when it runs.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on showing new lines until Ctrl-C.")]
Tail = Annotated[int, typer.Option("--tail", min=0, help="How many lines from the end.")]
Micro = Annotated[str | None, typer.Option("--micro", "-m", help="Only this micro's lines.")]
DeleteData = Annotated[bool, typer.Option("--delete-data", help="Delete its data too; it is kept otherwise.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before deleting data.")]
# How long a provider may be silent before a follower gives up: longer than a stream's own 45 s.
_PATIENCE_S = 120.0


def install(
    slug: Slug,
    alias: Alias = None,
    release: Release = None,
    config: Config = None,
    open_it: Open = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Put a copy of an app into your cloud and wait until it runs."""
    with session(url, as_json) as here:
        body: Document = {"app": slug, "alias": alias, "release": release, "config": _settings(config or [])}
        made = here.api.post("instances/", {key: value for key, value in body.items() if value})
        here.screen.say(f"Installing {slug} as {made['id']}.")
        done = operations.wait_for(here.api, here.screen, made["operation"], title="Installing")
        hint = f"See `freehold logs {made['id']}`; remove it with `freehold uninstall {made['id']}`."
        operations.require_success(done, hint)
        instance = here.api.get(f"instances/{made['id']}/")
        here.screen.say(f"Running at {instance['url']}", "green")
        here.screen.say(f"Next: `freehold open {instance['alias']}`; only you can use it.")
        here.screen.document({"instance": instance, "operation": done})
        if open_it:
            typer.launch(instance["url"])


def instances(url: Url = None, as_json: AsJson = False) -> None:
    """What is installed in your cloud."""
    with session(url, as_json) as here:
        rows = here.api.listing("instances/")
        keys = ("alias", "app", "version", "state", "url", "id")
        table = [[str(row.get(key) or "") for key in keys] for row in rows]
        if rows:
            here.screen.table(("Alias", "App", "Version", "State", "Address", "Id"), table)
        else:
            here.screen.say("Nothing is installed. Next: `freehold install APP`")
        here.screen.document({"results": rows})


def logs(
    instance: MaybeInstance = None,
    follow: Follow = False,
    tail: Tail = 200,
    micro: Micro = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """What an installed app wrote to its output."""
    with session(url, as_json) as here:
        if follow and as_json:
            raise Usage("--follow never ends, so it cannot be one JSON document.", code="usage", field="follow")
        found = chosen(here, instance, Path().resolve())
        path = f"instances/{found['id']}/logs/"
        query: dict[str, str | int] = {"tail": tail, **({"micro": micro} if micro else {})}
        if follow:
            _follow(here, path, query)
            return
        lines = here.api.text(path, **query).splitlines()
        for line in lines:
            here.screen.say(line)
        here.screen.document({"instance": found["id"], "lines": lines})


def uninstall(
    instance: Instance, delete_data: DeleteData = False, yes: Yes = False, url: Url = None, as_json: AsJson = False
) -> None:
    """Remove an installed app. Its data stays unless you say otherwise."""
    with session(url, as_json) as here:
        found = find(here, instance)
        if delete_data and not yes:
            _ask(here, found)
        operation = here.api.delete(f"instances/{found['id']}/", data="delete" if delete_data else "keep")
        done = operations.wait_for(here.api, here.screen, operation["id"], title="Removing")
        operations.require_success(done, "Try again, or ask the operator.")
        here.screen.say(f"Removed {found['alias']}." + ("" if delete_data else " Its data is kept."), "green")
        here.screen.document({"removed": found["id"], "data": "delete" if delete_data else "keep", "operation": done})


def open_(instance: MaybeInstance = None, url: Url = None, as_json: AsJson = False) -> None:
    """Open an installed app, or this folder's project, in the browser."""
    with session(url, as_json) as here:
        if instance:
            address = str(find(here, instance)["url"])
        else:
            address = f"{here.api.url}/projects/{project.linked(Path().resolve(), here.api.url).id}/"
        here.screen.say(address)
        here.screen.document({"url": address})
        if here.screen.is_terminal:
            typer.launch(address)


def _settings(pairs: list[str]) -> dict[str, str]:
    for pair in pairs:
        if "=" not in pair:
            raise Usage(f"{pair!r} is not KEY=VALUE.", code="usage", field="config")
    return dict(pair.split("=", 1) for pair in pairs)


def _follow(here: Session, path: str, query: dict[str, str | int]) -> None:
    """A provider ends long streams from time to time and restarts now and then: go on where it left off."""
    last_heard = time.monotonic()
    while True:
        try:
            for event in here.api.stream(path, follow="true", **query):
                if event.name == "end":
                    return
                here.screen.say(event.data)
                last_heard = time.monotonic()
            last_heard = time.monotonic()
        except Unreachable:
            if time.monotonic() - last_heard > _PATIENCE_S:
                raise
            time.sleep(1)
        query = {**query, "tail": 0}


def _ask(here: Session, found: Document) -> None:
    if not here.screen.is_terminal:
        raise Usage("Deleting data needs --yes where nobody can be asked.", code="usage", field="yes")
    if not typer.confirm(f"Delete {found['alias']} and all its data?"):
        raise Failure("Nothing was removed.", code="cancelled")
