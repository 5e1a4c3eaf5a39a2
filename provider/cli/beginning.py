"""`new` and `link`: making a project of a folder."""

from pathlib import Path
from typing import Annotated

import typer

from apps_catalog.spacefile import SpacefileErrors, parse
from provider.cli import config, detecting, project
from provider.cli.api import Api
from provider.cli.failures import Failure, Usage
from provider.cli.screen import Screen
from provider.cli.session import AsJson, Url, session, showing_failures

Dir = Annotated[Path, typer.Option("--dir", "-d", help="The folder; made if it is not there.")]
Name = Annotated[str | None, typer.Option("--name", "-n", help="The project's name; the folder's by default.")]
Blank = Annotated[bool, typer.Option("--blank", "-b", help="Only begin a Spacefile, look for nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Take what was found without asking.")]
Slug = Annotated[str, typer.Argument(help="The project's slug, as the console and `freehold push` show it.")]
HERE = Path()


def new(
    name: Name = None,
    directory: Dir = HERE,
    blank: Blank = False,
    yes: Yes = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Look what a folder is made of, write its Spacefile, and make a project of it."""
    with showing_failures(as_json) as screen:
        root = directory.resolve()
        root.mkdir(parents=True, exist_ok=True)
        if project.read_meta(root) is not None:
            raise Failure(f"{root} is a project already. See `freehold link` to make it another's.", code="linked")
        found = () if blank else _spacefile(screen, root, yes=yes)
        where = config.chosen_url(url)
        made = _project(screen, root, name or root.name, where)
        screen.say("Next: " + ("`freehold push`" if made else "`freehold login`, then `freehold push`"))
        micros = [{"name": micro.name, "src": micro.src, "engine": micro.engine} for micro in found]
        screen.document({"dir": str(root), "micros": micros, "project": made.id if made else None})


def link(slug: Slug, directory: Dir = HERE, url: Url = None, as_json: AsJson = False) -> None:
    """Say which project of yours this folder is."""
    with session(url, as_json) as here:
        root = directory.resolve()
        if not root.is_dir():
            raise Usage(f"{root} is not a folder.", code="usage", field="dir")
        found = here.api.get(f"projects/{slug}/")
        meta = project.Meta(id=found["slug"], name=found["name"], alias=found["slug"], url=here.api.url)
        project.write_meta(root, meta)
        here.screen.say(f"{root} is the project {meta.id} now.", "green")
        here.screen.say("Next: `freehold push`")
        here.screen.document({"dir": str(root), "project": meta.id})


def _spacefile(screen: Screen, root: Path, *, yes: bool) -> tuple[detecting.Found, ...]:
    """Write it, unless there is one. Raises Failure where nothing is recognised or the person says no."""
    file = root / "Spacefile"
    if file.exists():
        screen.say("There is a Spacefile; it stays as it is.")
        return ()
    found = detecting.micros(root)
    if not found:
        raise Failure(
            f"Nothing that Freehold knows is in {root}: no requirements.txt, package.json, go.mod or index.html."
            " Begin with `freehold new --blank`.",
            code="nothing_found",
        )
    for micro in found:
        screen.say(f"  {micro.name}: {micro.engine} in {micro.src}")
    if not yes and screen.is_terminal and not typer.confirm("Write a Spacefile with this?", default=True, err=True):
        raise Failure("Nothing was written.", code="cancelled")
    text = detecting.spacefile(found)
    try:
        parse(text)
    except SpacefileErrors as error:
        raise Failure(f"These folders make no valid Spacefile: {error}", code="invalid", field="Spacefile") from error
    file.write_text(text, encoding="utf-8")
    screen.say("Wrote the Spacefile.", "green")
    return found


def _project(screen: Screen, root: Path, name: str, url: str) -> project.Meta | None:
    """At the provider, if somebody is signed in there; else the first push makes it."""
    if not (root / "Spacefile").exists():
        (root / "Spacefile").write_text(detecting.spacefile(()), encoding="utf-8")
    sign_in = config.sign_in_for(url)
    if sign_in is None:
        return None
    made = Api(url, sign_in.token).post("projects/", {"name": name})
    meta = project.Meta(id=made["slug"], name=made["name"], alias=made["slug"], url=url)
    project.write_meta(root, meta)
    screen.say(f"Created the project {meta.id}.", "green")
    return meta
