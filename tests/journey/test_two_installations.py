"""A collection moves between two installations: the running Freehold, and another with a database, an id, keys and a data
server of its own, whose services, API and worker run in this process."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings as own_settings

from tenants.models import Collection, Export, Installation, User
from tenants.services import collections
from tenants.services import transfers as services
from tests.api.client import Program
from tests.journey.people import Person, zipped
from tests.journey.stack import Stack, until
from tests.journey.test_data import outside
from tests.journey.test_data_pages import send
from tests.tenants.machine import Machine, cluster
from tests.tenants.test_transfers import zip_of
from tests.worlds import active_person, settle

pytestmark = pytest.mark.django_db
__all__ = ["cluster"]
LARGE = bytes(range(256)) * 50_000
NAMES = ["a/b.txt", "ü/日本.bin", "with space", "100%", "a//b"]
FORMER = {
    "my app/bases/notes.json": json.dumps([{"key": "z", "text": "ž", "n": 2**70}, {"key": "a", "list": [1, None, {}]}]),
    "my app/bases/empty.json": "[]",
    "my app/drives/photos/2021/é.jpg": b"\xff\xd8" + bytes(1000),
    "my app/drives/photos/large.bin": LARGE,
}


@pytest.fixture
def there(cluster: Machine, settings: Any) -> User:
    """A person of the second installation."""
    settings.DATA_KEY = "the second installation's own " * 2
    return active_person(cluster)


def hashes(archive: bytes) -> dict[str, str]:
    """Of every base and file; the manifest says when it was made."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert opened.testzip() is None
        names = [name for name in opened.namelist() if name != "manifest.jsonl"]
        return {name: hashlib.sha256(opened.read(name)).hexdigest() for name in names}


def exported_here(who: Person, collection: str) -> bytes:
    """The zip, out of the running installation and through its gate."""
    made = who.call("POST", f"collections/{collection}/exports/")
    assert who.finished(made["operation"])["state"] == "succeeded"
    ready = who.call("GET", f"collections/{collection}/exports/{made['id']}/")
    archive = who.api.get(f"{who.stack.console}{ready['download']}").content
    assert hashlib.sha256(archive).hexdigest() == ready["sha256"]
    return archive


def imported_there(owner: User, archive: bytes) -> Collection:
    """In parts, through the API of the second installation."""
    program, made = Program(owner), collections.create_collection(owner, "moved")
    settle()
    begun = program("POST", f"collections/{made.pk}/uploads/", {"size_bytes": len(archive)}).json()
    one, size = f"collections/{made.pk}/uploads/{begun['id']}/", begun["part_bytes"]
    for number, at in enumerate(range(0, len(archive), size), 1):
        part = archive[at : at + size]
        sent = program("PUT", f"{one}parts/{number}/", part, content_type="application/octet-stream")
        assert sent.status_code == 204, sent.content
    assert program("POST", f"{one}finish/").status_code == 202
    settle()
    applied = program("POST", f"collections/{made.pk}/imports/{begun['id']}/apply/", {})
    assert applied.status_code == 202, applied.content
    settle()
    done = program("GET", f"collections/{made.pk}/imports/{begun['id']}/").json()
    assert done["state"] == "succeeded", done
    return made


def exported_there(owner: User, collection: Collection) -> bytes:
    export = services.start_export(owner, collection)
    settle()
    return zip_of(Export.objects.select_related("collection__cloud__data_server").get(pk=export.pk))


def filled(who: Person) -> str:
    """A collection of the running installation with bases and drives, written with a key through its gate."""
    made = who.call("POST", "collections/", json={"name": "diary"})
    key = who.call("POST", f"collections/{made['id']}/keys/", json={"name": "k"})
    with outside(who.stack) as http:
        http.headers["X-API-Key"] = key["key"]
        root = key["project_id"]
        until(lambda: http.get(f"{root}/letters/items/x").status_code == 404, 60, "the key is known")
        items = [{"key": f"k{n} ž", "n": n / 7, "deep": {"list": [n, None, "日本", 2**70]}} for n in range(100)]
        for at in range(0, 100, 25):
            assert http.put(f"{root}/letters/items", json={"items": items[at : at + 25]}).status_code == 207
        for name in NAMES:
            stored = http.post(f"{root}/photos/files", params={"name": name}, content=name.encode() * 1000)
            assert stored.status_code == 201, stored.text
        large = {"name": "large.bin"}
        upload = http.post(f"{root}/photos/uploads", params=large).json()["upload_id"]
        for number, at in enumerate(range(0, len(LARGE), 8 * 1024 * 1024), 1):
            part = {**large, "part": number}
            sent = http.post(
                f"{root}/photos/uploads/{upload}/parts", params=part, content=LARGE[at : at + 8 * 1024 * 1024]
            )
            assert sent.is_success, sent.text
        assert http.patch(f"{root}/photos/uploads/{upload}", params=large).is_success
    return str(made["id"])


def test_they_share_nothing(freehold: Stack, there: User) -> None:
    secrets = (freehold.home / "secrets.env").read_text()
    assert own_settings.DATA_KEY not in secrets
    assert str(Installation.objects.get().pk) not in secrets
    ours = own_settings.DATABASES["default"]
    assert str(freehold.home) not in str(ours)


def test_an_export_made_here_imports_there_and_back_with_identical_hashes(
    person: Callable[[str], Person], there: User
) -> None:
    who = person("mover")
    archive = exported_here(who, filled(who))
    assert len(hashes(archive)) == 1 + len(NAMES) + 1
    moved = exported_there(there, imported_there(there, archive))
    assert hashes(moved) == hashes(archive)
    home = who.call("POST", "collections/", json={"name": "home again"})["id"]
    send(who, home, moved)
    assert hashes(exported_here(who, home)) == hashes(archive)


def test_one_in_the_former_layout_imports_into_both_with_identical_hashes(
    person: Callable[[str], Person], there: User
) -> None:
    who, former = person("former"), zipped(FORMER)
    made = who.call("POST", "collections/", json={"name": "old"})["id"]
    send(who, made, former)
    here = hashes(exported_here(who, made))
    assert here == hashes(exported_there(there, imported_there(there, former)))
    files = {name.removeprefix("my app/"): content for name, content in FORMER.items() if "/drives/" in name}
    for name, content in files.items():
        assert here[name] == hashlib.sha256(content if isinstance(content, bytes) else content.encode()).hexdigest()
    assert set(here) == {*files, "bases/notes.json", "bases/empty.json"}
