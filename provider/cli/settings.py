"""`env`, `update` and `rollback`: the settings and versions of what is installed."""

import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from provider.cli import instances, operations
from provider.cli.api import Document
from provider.cli.failures import Failure, Usage
from provider.cli.session import AsJson, Session, Url, session

Wanted = Annotated[str | None, typer.Argument(help="Alias, id or host; this folder's own copy by default.")]
One = Annotated[str, typer.Argument(help="Its alias, id or host name, as `freehold instances` shows them.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="NAME=VALUE; may be repeated.")]
Unset = Annotated[list[str] | None, typer.Option("--unset", help="A name to take back to the app's own value.")]
File = Annotated[str | None, typer.Option("--file", "-f", help="NAME=VALUE lines, as in .env; - reads them.")]
Dir = Annotated[Path, typer.Option("--dir", "-d", help="The project's folder.")]
Release = Annotated[str | None, typer.Option("--release", help="The id of a release; the newest by default.")]
Agree = Annotated[bool, typer.Option("--agree", help="Agree to everything that the new version newly demands.")]
HERE = Path()
_LINE = re.compile(r"\s*(?:export\s+)?([^=\s#][^=]*?)\s*=\s*(.*?)\s*")


def env(
    instance: Wanted = None,
    set_: Set = None,
    unset: Unset = None,
    file: File = None,
    directory: Dir = HERE,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show an app's settings, or fill them in. Values go in and never come out again."""
    with session(url, as_json) as here:
        found = instances.chosen(here, instance, directory.resolve())
        changes: dict[str, str | None] = {**_from_file(file), **_pairs(set_ or []), **dict.fromkeys(unset or [])}
        if changes:
            _change(here, found, changes)
        rows = here.api.get(f"instances/{found['id']}/config/")["settings"]
        if not rows:
            here.screen.say(f"{found['alias']} has no settings. Declare them in the Spacefile as presets and push.")
        table = [(row["name"], _standing(row), ", ".join(row["micros"]), row["description"]) for row in rows]
        here.screen.table(("Name", "Value", "Micros", "What for"), table)
        here.screen.document({"instance": found["id"], "settings": rows, "changed": sorted(changes)})


def update(
    instance: One, release: Release = None, agree: Agree = False, url: Url = None, as_json: AsJson = False
) -> None:
    """Bring an app to its newest version. If that does not start, the one you have goes on."""
    with session(url, as_json) as here:
        found = instances.find(here, instance)
        path = f"instances/{found['id']}/update/"
        wish: Document = {"release": release} if release else {}
        offer = here.api.post(f"{path}?dry_run=true", wish)
        for news in offer["news"]:
            here.screen.say(f"New in {news['version']}: {news['notes'] or 'its developer did not say.'}")
        for demand in offer["demands"]:
            here.screen.say(f"  newly: {demand['text']}", "yellow")
        if offer["demands"] and not agree:
            _ask(here, offer)
        made = here.api.post(path, {"release": offer["release"], "consent": offer["needs_consent"]})
        _finish(here, found, made, "Updating")


def rollback(instance: One, url: Url = None, as_json: AsJson = False) -> None:
    """Go back to the version before the last update."""
    with session(url, as_json) as here:
        found = instances.find(here, instance)
        _finish(here, found, here.api.post(f"instances/{found['id']}/rollback/"), "Going back")


def _finish(here: Session, found: Document, operation: Document, title: str) -> None:
    done = operations.wait_for(here.api, here.screen, operation["id"], title=title)
    operations.require_success(done, f"The version before goes on. See `freehold logs {found['id']}`.")
    now = here.api.get(f"instances/{found['id']}/")
    here.screen.say(f"{now['alias']} runs {now['version']}.", "green")
    here.screen.document({"instance": now, "operation": done})


def _ask(here: Session, offer: Document) -> None:
    if not here.screen.is_terminal:
        raise Failure(
            "The new version asks for more. Agree with --agree.",
            code="needs_consent",
            field="consent",
            detail={"needs_consent": offer["demands"]},
        )
    if not typer.confirm("Do you agree?", err=True):
        raise Failure("Nothing was changed.", code="cancelled")


def _change(here: Session, found: Document, changes: dict[str, str | None]) -> None:
    answer = here.api.patch(f"instances/{found['id']}/", {"config": changes})
    if answer.get("operation"):
        done = operations.wait_for(here.api, here.screen, answer["operation"], title="Starting it afresh")
        operations.require_success(done, f"See `freehold logs {found['id']}`.")
    here.screen.say(f"Changed {', '.join(sorted(changes))}.", "green")


def _standing(row: Document) -> str:
    if row["is_set"]:
        return "set"
    return "the app's own" if row["has_default"] else "-"


def _pairs(texts: list[str]) -> dict[str, str]:
    for text in texts:
        if "=" not in text:
            raise Usage(f"{text.partition('=')[0]!r} is not NAME=VALUE.", code="usage", field="set")
    return dict(text.split("=", 1) for text in texts)


def _from_file(name: str | None) -> dict[str, str]:
    if name is None:
        return {}
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise Failure(f"{name} cannot be read: {error}", code="unreadable", field="file") from error
    return dotenv(text, name)


def dotenv(text: str, name: str = ".env") -> dict[str, str]:
    """NAME=VALUE lines; comments, blank lines, `export` and quotes around values as usual. Raises Usage."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise Usage(f"{name}, line {number} is not NAME=VALUE.", code="usage", field="file")
        value = match[2]
        quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
        found[match[1]] = value[1:-1] if quoted else value
    return found
