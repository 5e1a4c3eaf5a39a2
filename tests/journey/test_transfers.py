"""A collection goes from one account to another as a zip, and is the same there."""

import hashlib
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from tests.journey.command_line import CommandLine
from tests.journey.people import Person, zipped
from tests.journey.stack import Stack, until
from tests.journey.test_command_line import someone
from tests.journey.test_data import outside

__all__ = ["someone"]
PICTURE = bytes(range(256)) * 20_000


def collection(who: Person, name: str) -> dict[str, Any]:
    return who.call("POST", "collections/", json={"name": name})


def hashes(archive: Path) -> dict[str, str]:
    """Of every entry but the manifest, which says when it was made."""
    with zipfile.ZipFile(archive) as opened:
        assert opened.testzip() is None
        return {name: hashlib.sha256(opened.read(name)).hexdigest() for name in opened.namelist() if "/" in name}


def test_an_export_is_the_same_in_another_account(
    freehold: Stack, someone: Callable[[str], tuple[Person, CommandLine]]
) -> None:
    (ada, ada_cli), (bob, bob_cli) = someone("exporter"), someone("importer")
    diary = collection(ada, "diary")
    key = ada.call("POST", f"collections/{diary['id']}/keys/", json={"name": "k"})
    with outside(freehold) as http:
        http.headers["X-API-Key"] = key["key"]
        items = [{"key": f"k{n}", "n": n, "words": "žluťoučký"} for n in range(25)]
        put = http.put(f"{key['project_id']}/letters/items", json={"items": items})
        assert put.status_code == 207, put.text
        stored = http.post(f"{key['project_id']}/photos/files", params={"name": "a/ü.bin"}, content=PICTURE)
        assert stored.status_code == 201, stored.text

    made = ada_cli.ok("export", "diary", "-o", "ada.zip")
    archive = ada_cli.folder / "ada.zip"
    assert hashlib.sha256(archive.read_bytes()).hexdigest() == made["export"]["sha256"]

    theirs = collection(bob, "from ada")
    looked = bob_cli.ok("import", "from ada", str(archive), "--dry-run")
    assert looked["import"]["preview"]["items"] == 25
    done = bob_cli.ok("import", theirs["id"], str(archive))
    assert done["import"]["report"] == {"items": 25, "files": 1, "skipped": 0, "replaced": 0}
    again = bob_cli("import", theirs["id"], str(archive), "--json")
    assert (again.code, again.document["error"]["field"]) == (1, "conflicts")
    bob_cli.ok("export", "from ada", "-o", "bob.zip")
    assert hashes(bob_cli.folder / "bob.zip") == hashes(archive)

    # A download that was cut off goes on through the gate, and nobody else gets it.
    download = f"{freehold.console}{made['export']['download']}"
    rest = ada.api.get(download, headers={"Range": "bytes=1000000-"})
    assert (rest.status_code, rest.content) == (206, archive.read_bytes()[1_000_000:])
    assert bob.api.get(download).status_code == 404


def test_pages_export_import_and_wipe(freehold: Stack, person: Callable[[str], Person]) -> None:
    who = person("pages")
    made = collection(who, "diary")
    page = f"{freehold.console}/collections/{made['id']}/"
    former = zipped_former()

    token = token_of(who.web.get(page).text)

    def upload() -> httpx.Response | None:
        """Sent again while the new cloud's data server is starting."""
        sent = {"data": {"csrfmiddlewaretoken": token}, "files": {"archive": ("old.zip", former)}}
        answer = who.web.post(f"{page}imports/", headers={"Referer": page}, **sent)
        return None if "Try again in a moment" in answer.text else answer

    seen = until(upload, 60, "the archive is looked at")
    assert "The archive holds 1 item and 1 file" in seen.text, seen.text
    form = {"csrfmiddlewaretoken": token_of(seen.text), "conflicts": "fail"}
    applied = who.web.post(str(seen.url), data=form, headers={"Referer": page})
    assert "Importing" in applied.text
    finish(who)

    exporting = who.web.post(f"{page}exports/", data={"csrfmiddlewaretoken": token}, headers={"Referer": page})
    assert "Exporting" in exporting.text and "Read what the collection holds" in exporting.text
    finish(who)
    shown = who.web.get(page).text
    link = re.search(r'href="(/collections/[^"]+/download/)"', shown)
    assert link
    archive = who.web.get(f"{freehold.console}{link[1]}")
    assert archive.status_code == 200 and hashlib.sha256(archive.content).hexdigest() in shown

    wipe = {"csrfmiddlewaretoken": token, "name": "diary"}
    assert "Wiping" in who.web.post(f"{page}wipe/", data=wipe, headers={"Referer": page}).text
    finish(who)
    assert "users" not in who.web.get(page).text


def zipped_former() -> bytes:
    return zipped({"bases/users.json": '[{"key": "a", "n": 1}]', "drives/pics/x.png": b"png"})


def token_of(page: str) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert found
    return found[1]


def finish(who: Person) -> None:
    for operation in who.call("GET", "operations/")["results"]:
        assert who.finished(operation["id"])["state"] == "succeeded"
