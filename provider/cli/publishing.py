"""`validate`, `push` and `release`: from a folder to something others install."""

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from apps_catalog.bundles import BundleError
from apps_catalog.packing import pack
from apps_catalog.spacefile import Spacefile, SpacefileErrors, json_schema, parse
from provider.cli import instances, operations, project
from provider.cli.api import Document
from provider.cli.failures import Failure
from provider.cli.session import AsJson, Session, Url, session, showing_failures

Dir = Annotated[Path, typer.Option("--dir", "-d", help="The folder with the Spacefile.")]
Name = Annotated[str | None, typer.Option("--name", "-n", help="The project's name on the first push.")]
Open = Annotated[bool, typer.Option("--open", help="Open the result in the browser.")]
SkipLogs = Annotated[bool, typer.Option("--skip-logs", help="Do not show the build's log.")]
NoInstall = Annotated[bool, typer.Option("--no-install", help="Only build it; your own copy stays as it is.")]
Revision = Annotated[str | None, typer.Option("--revision", "--rid", help="Which revision; the last push by default.")]
Listed = Annotated[bool, typer.Option("--listed", help="Show it in the catalog to everyone.")]
Channel = Annotated[str, typer.Option("--channel", help="stable or beta.")]
Notes = Annotated[str, typer.Option("--notes", help="What is new, for the people who use it.")]
Version = Annotated[
    str | None, typer.Option("--version", "-v", help="Such as 1.2.0; the provider makes one up by default.")
]
Schema = Annotated[bool, typer.Option("--schema", help="Only print the JSON Schema of Spacefiles, for editors.")]
HERE = Path()
# A revision waits while the copy is still busy with an older one.
PLACING_LIMIT_S, PLACING_PAUSE_S = 120.0, 0.3


def validate(directory: Dir = HERE, schema: Schema = False, as_json: AsJson = False) -> None:
    """Check the Spacefile without sending anything."""
    with showing_failures(as_json or schema) as screen:
        if schema:
            screen.document(json_schema())
            return
        spacefile = checked(project.folder(directory))
        screen.say(f"The Spacefile is valid: {_names(spacefile)}.", "green")
        for warning in spacefile.warnings:
            screen.say(f"  note: {warning}", "yellow")
        warnings = [str(warning) for warning in spacefile.warnings]
        screen.document({"valid": True, "micros": [micro.name for micro in spacefile.micros], "warnings": warnings})


def push(
    directory: Dir = HERE,
    name: Name = None,
    open_it: Open = False,
    skip_logs: SkipLogs = False,
    no_install: NoInstall = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Send the folder and build it. The first push makes a project of it."""
    with session(url, as_json) as here:
        root = project.folder(directory)
        checked(root)
        meta = _project_of(here, root, name)
        revision = _send(here, root, meta, install=not no_install)
        if not skip_logs:
            _show_build(here, f"projects/{meta.id}/revisions/{revision['id']}/logs/")
        done = operations.wait_for(here.api, here.screen, revision["operation"], title="Building")
        operations.require_success(done, "Mend the folder and push again.")
        project.write_meta(root, replace(meta, revision=revision["id"]))
        revision = here.api.get(f"projects/{meta.id}/revisions/{revision['id']}/")
        here.screen.say(f"Built {meta.id} ({revision['size_bytes'] / 2**20:.1f} MiB).", "green")
        revision, copy = _placed(here, meta, revision)
        here.screen.say("Next: `freehold release` lets others install it.")
        here.screen.document({"project": meta.id, "revision": revision, "operation": done, "instance": copy})
        if open_it:
            typer.launch(copy["url"] if copy else f"{here.api.url}/projects/{meta.id}/")


def release(
    directory: Dir = HERE,
    revision: Revision = None,
    version: Version = None,
    notes: Notes = "",
    channel: Channel = "stable",
    listed: Listed = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Let others install what was pushed last."""
    with session(url, as_json) as here:
        root = project.folder(directory)
        meta = project.linked(root, here.api.url)
        chosen = revision or meta.revision
        if not chosen:
            raise Failure("Nothing was built from this folder yet. Run: freehold push", code="not_pushed")
        body: Document = {"revision": chosen, "notes": notes, "channel": channel, "listed": listed}
        # Not part of what is pushed: the page in the catalog may change without a new build.
        more = {"version": version, "discovery": project.discovery(root)}
        body |= {key: value for key, value in more.items() if value is not None}
        made = here.api.post(f"projects/{meta.id}/releases/", body)
        here.screen.say(f"Released {meta.id} {made.get('version', '')} on {channel}.", "green")
        here.screen.say(f"Its page: {here.api.url}/apps/{meta.id}/")
        here.screen.say(f"Next: `freehold install {meta.id}`")
        here.screen.document({"project": meta.id, "release": made})


def checked(root: Path) -> Spacefile:
    try:
        return parse((root / "Spacefile").read_bytes())
    except SpacefileErrors as error:
        problems = [str(problem) for problem in error.problems]
        raise Failure(str(error), code="invalid", field="Spacefile", detail={"problems": problems}) from error


def _names(spacefile: Spacefile) -> str:
    return ", ".join(f"{micro.name} ({micro.engine})" for micro in spacefile.micros)


def _project_of(here: Session, root: Path, name: str | None) -> project.Meta:
    if project.read_meta(root) is not None:
        return project.linked(root, here.api.url)
    made = here.api.post("projects/", {"name": name or root.name})
    meta = project.Meta(id=made["slug"], name=made["name"], alias=made["slug"], url=here.api.url)
    project.write_meta(root, meta)
    here.screen.say(f"Created the project {meta.id}.")
    return meta


def _send(here: Session, root: Path, meta: project.Meta, *, install: bool) -> Document:
    as_of = project.commit_date(root)
    with tempfile.TemporaryFile() as bundle:
        try:
            packed = pack(root, bundle)
        except BundleError as error:
            raise Failure(error.message, code="invalid", field=error.field) from error
        except OSError as error:
            raise Failure(f"{error.filename} cannot be read: {error.strerror}", code="unreadable") from error
        here.screen.say(f"Sending {len(packed.names)} files, {bundle.tell() / 2**20:.1f} MiB packed.")
        fields = ({"as_of": as_of} if as_of else {}) | ({} if install else {"install": "false"})
        with here.screen.sending(bundle, bundle.tell(), "Sending") as file:
            return here.api.upload(f"projects/{meta.id}/revisions/", file, fields)


def _placed(here: Session, meta: project.Meta, revision: Document) -> tuple[Document, Document | None]:
    """Wait until the revision runs in the developer's own copy. (The revision as it is then, the copy if it came there.)

    Raises Failure when it was built and does not start.
    """
    until = time.monotonic() + PLACING_LIMIT_S
    with here.screen.waiting("Installing it in your own cloud"):
        while revision.get("placement") == "due" and time.monotonic() < until:
            time.sleep(PLACING_PAUSE_S)
            revision = here.api.get(f"projects/{meta.id}/revisions/{revision['id']}/")
    if revision.get("placement") == "refused":
        here.screen.say(f"Not installed in your own cloud: {revision['placement_note']}", "yellow")
    if revision.get("placement") != "done":
        return revision, None
    copy = instances.own_copy_of(here, meta)
    if not revision.get("placed_by"):
        here.screen.say(f"Your own copy runs just this: {copy['url']}", "green")
        return revision, copy
    done = operations.wait_for(here.api, here.screen, revision["placed_by"], title="Starting it")
    if done["state"] == "failed":
        before = " The version before goes on." if done["kind"] == "update" else ""
        raise Failure(
            f"It was built but does not start: {done['error']}{before}\nSee `freehold logs {copy['id']}`.",
            code="not_started",
            detail={"project": meta.id, "revision": revision["id"], "instance": copy["id"]},
        )
    copy = instances.own_copy_of(here, meta)
    here.screen.say(f"Your own copy: {copy['url']}", "green")
    return revision, copy


def _show_build(here: Session, path: str) -> None:
    """The build's log as it comes. When the stream breaks, waiting for the operation says how it ended."""
    if here.screen.as_json:
        return
    try:
        for event in here.api.stream(path, follow="true"):
            if event.name == "end":
                return
            here.screen.say(f"  {event.data}", "dim")
    except Failure as failure:
        here.screen.say(f"(The log cannot be shown any further: {failure})", "yellow")
