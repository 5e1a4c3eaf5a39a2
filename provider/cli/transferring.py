"""`export` and `import`: a collection's data as one zip, out of your cloud and into it."""

import hashlib
import time
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from provider.cli import operations
from provider.cli.api import Document
from provider.cli.failures import Failure, Unreachable, Usage
from provider.cli.session import AsJson, Session, Url, session

Collection = Annotated[str, typer.Argument(help="Its name, id or project id, or the alias or id of its app.")]
Archive = Annotated[Path, typer.Argument(help="A zip that was exported here or from Deta Space.")]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="Where to write the zip; NAME.zip in this folder by default.")
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what the archive holds.")]
Conflicts = Annotated[
    str, typer.Option("--conflicts", help="Keys and file names that are there already: fail, skip or replace.")
]
CHOICES = ("fail", "skip", "replace")
# How long nothing may move before a transfer is given up; what came stays, and the next try goes on from there.
_PATIENCE_S = 120.0


def export(
    collection: Collection,
    output: Output = None,
    force: Force = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Write everything that a collection holds into a zip."""
    with session(url, as_json) as here:
        found = _find(here, collection)
        target = output if output is not None else Path(f"{_file_name(found)}.zip")
        if target.exists() and not force:
            raise Usage(f"{target} is there already; --force overwrites it.", code="exists", field="output")
        made = here.api.post(f"collections/{found['id']}/exports/")
        here.screen.say(f"Exporting {found['name']}.")
        done = operations.wait_for(here.api, here.screen, made["operation"], title="Exporting")
        operations.require_success(done, "Try again in a moment.")
        ready = here.api.get(f"collections/{found['id']}/exports/{made['id']}/")
        _fetch(here, ready, target)
        here.screen.say(f"Wrote {target} ({ready['size_bytes'] / 2**20:.1f} MiB).", "green")
        here.screen.say(f"SHA-256 {ready['sha256']}")
        here.screen.document({"collection": found["id"], "file": str(target), "export": ready})


def import_(
    collection: Collection,
    archive: Archive,
    conflicts: Conflicts = "fail",
    dry_run: DryRun = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Write what a zip holds into a collection, whole or not at all."""
    with session(url, as_json) as here:
        if conflicts not in CHOICES:
            raise Usage(f"--conflicts is one of {', '.join(CHOICES)}.", code="usage", field="conflicts")
        found = _find(here, collection)
        seen = _send(here, found, archive)
        _tell(here, seen["preview"])
        if dry_run:
            here.screen.document({"collection": found["id"], "import": seen})
            return
        body: Document = {"conflicts": conflicts}
        begun = here.api.post(f"collections/{found['id']}/imports/{seen['id']}/apply/", body)
        done = operations.wait_for(here.api, here.screen, begun["operation"], title="Importing")
        operations.require_success(done, "Nothing was imported.")
        ready = here.api.get(f"collections/{found['id']}/imports/{seen['id']}/")
        report = ready["report"]
        here.screen.say(
            f"Imported {report['items']} items and {report['files']} files into {found['name']};"
            f" {report['skipped']} skipped, {report['replaced']} replaced.",
            "green",
        )
        here.screen.document({"collection": found["id"], "import": ready})


def _find(here: Session, wanted: str) -> Document:
    """Raises Failure when no collection or several are called that."""
    rows = here.api.listing("collections/")
    found = [row for row in rows if wanted in (row["id"], row["name"], row["project_id"], row["instance"])]
    if not found:
        apps = [row["id"] for row in here.api.listing("instances/") if wanted in (row["alias"], row["host"])]
        found = [row for row in rows if row["instance"] in apps]
    if not found:
        raise Failure(f"There is no collection {wanted!r} in your cloud.", code="not_found")
    if len(found) > 1:
        ids = ", ".join(str(row["id"]) for row in found)
        raise Failure(f"Several are called {wanted!r}; say which by its id: {ids}", code="ambiguous")
    return found[0]


def _file_name(collection: Document) -> str:
    kept = "".join(char if char.isalnum() or char in "-_ " else "-" for char in collection["name"]).strip(" -")
    return kept or str(collection["project_id"])


def _fetch(here: Session, ready: Document, target: Path) -> None:
    """Into a file beside `target` that takes its place when its checksum is right."""
    partial = target.with_name(f"{target.name}.part")
    try:
        with partial.open("wb") as file:
            _fill(here, ready, file)
        with partial.open("rb") as file:
            got = hashlib.file_digest(file, "sha256").hexdigest()
        if got != ready["sha256"]:
            raise Failure("What was fetched does not have the export's checksum. Try again.", code="checksum")
        partial.replace(target)
    except OSError as error:
        raise Failure(f"{target} cannot be written: {error.strerror}", code="unwritable", field="output") from error
    finally:
        partial.unlink(missing_ok=True)


def _fill(here: Session, ready: Document, file: BinaryIO) -> None:
    """Goes on from where a broken connection left off."""
    size, done, came = int(ready["size_bytes"]), 0, time.monotonic()
    with here.screen.moving(size, done, "Fetching") as tell:
        while done < size:
            headers = {"Range": f"bytes={done}-"} if done else {}
            try:
                with here.api.fetching(str(ready["download"]), headers) as answer:
                    if done and answer.status_code != 206:
                        raise Failure("The provider does not go on with a download that broke off.", code="no_range")
                    for piece in answer.iter_raw():
                        file.write(piece)
                        done += len(piece)
                        tell(len(piece))
                        came = time.monotonic()
            except Unreachable:
                if time.monotonic() - came > _PATIENCE_S:
                    raise
                time.sleep(0.5)


def _send(here: Session, collection: Document, archive: Path) -> Document:
    """The import with its preview. The same archive sent again goes on where it broke off."""
    try:
        with archive.open("rb") as file:
            mark = hashlib.file_digest(file, "sha256").hexdigest()
            size = archive.stat().st_size
            if not size:
                raise Failure(f"{archive} is empty.", code="invalid_archive", field="archive")
            path = f"collections/{collection['id']}/uploads/"
            begun = here.api.post(path, {"size_bytes": size, "fingerprint": mark})
            path += f"{begun['id']}/"
            _send_parts(here, begun, file, path)
    except OSError as error:
        raise Failure(f"{archive} cannot be read: {error.strerror}", code="unreadable", field="archive") from error
    looking = here.api.post(f"{path}finish/")
    done = operations.wait_for(here.api, here.screen, looking["operation"], title="Looking through it")
    operations.require_success(done, "Nothing was imported.")
    return here.api.get(f"collections/{collection['id']}/imports/{begun['id']}/")


def _send_parts(here: Session, begun: Document, file: BinaryIO, path: str) -> None:
    """Those that are not there yet; each again while nobody answers."""
    there, size, length = set(begun["parts"]), int(begun["size_bytes"]), int(begun["part_bytes"])
    numbers = [number for number in range(1, -(-size // length) + 1) if number not in there]
    with here.screen.moving(size, size - sum(_length(n, length, size) for n in numbers), "Sending") as tell:
        for number in numbers:
            file.seek((number - 1) * length)
            part = file.read(length)
            _insist(here, f"{path}parts/{number}/", part)
            tell(len(part))


def _insist(here: Session, path: str, part: bytes) -> None:
    began, checksum = time.monotonic(), hashlib.sha256(part).hexdigest()
    while True:
        try:
            here.api.put(path, part, sha256=checksum)
            return
        except Unreachable:
            if time.monotonic() - began > _PATIENCE_S:
                raise
            time.sleep(0.5)


def _length(number: int, length: int, size: int) -> int:
    return min(length, size - (number - 1) * length)


def _tell(here: Session, preview: Document) -> None:
    for base in preview["bases"]:
        here.screen.say(f"  base {base['name']}: {base['items']} items, {base['conflicts']} there already")
    for drive in preview["drives"]:
        here.screen.say(f"  drive {drive['name']}: {drive['files']} files, {drive['conflicts']} there already")
    for name in preview["ignored"]:
        here.screen.say(f"  left out: {name}")
    for problem in preview["problems"]:
        here.screen.say(f"  cannot be stored: {problem}", "red")
