"""An upload that is refused leaves nothing behind: no row, no file; the refusal names its field."""

import io
import zipfile
from pathlib import Path

import pytest
from django.conf import settings

from apps_catalog.models import Release, Revision
from tenants.errors import Refused
from tenants.models import Operation
from tenants.services import publish
from tests.apps_catalog import hostile
from tests.worlds import SPACEFILE, MemoryCluster, active_person, picture, settle, uploaded

pytestmark = pytest.mark.django_db
NOT_PICTURES = {
    "text": b"hello",
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
    "html": b"<!doctype html><script>alert(1)</script>",
    "gif": picture("GIF", 512, 512),
    "half": picture("PNG", 512, 512)[:-100],
    "too-large": picture("PNG", 512, 512) + bytes(1024 * 1024),
}


def holding(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def uploads() -> dict[str, tuple[bytes, str]]:
    """case → (bundle, the field that it is refused by)."""
    found = {f"bundle-{name}": (content, "bundle") for name, content in hostile.bundles().items()}
    for name, text in hostile.spacefiles().items():
        found[f"spacefile-{name}"] = (holding({"Spacefile": text}), "Spacefile")
    for name, (text, _, _) in hostile.discoveries().items():
        found[f"discovery-{name}"] = (holding({"Spacefile": hostile.SPACEFILE, "Discovery.md": text}), "Discovery.md")
    for name, content in NOT_PICTURES.items():
        spacefile = b"icon: icon.png\n" + hostile.SPACEFILE
        found[f"icon-{name}"] = (holding({"Spacefile": spacefile, "icon.png": content}), "icon")
    return found


@pytest.mark.parametrize("kind", ["bundle", "spacefile", "discovery", "icon"])
def test_a_hostile_upload_is_refused_by_its_field_and_leaves_nothing(cluster: MemoryCluster, kind: str) -> None:
    developer = active_person(cluster)
    app = publish.create_project(developer, "Herons")
    cases = {name: case for name, case in uploads().items() if name.startswith(kind)}
    assert len(cases) > 5
    for name, (content, field) in cases.items():
        with pytest.raises(Refused) as refusal:
            publish.upload_revision(developer, app, io.BytesIO(content))
        assert refusal.value.field == field and str(refusal.value), name
        assert not [path for path in Path(settings.STORE_DIR).rglob("*") if path.is_file()], name
    assert not Revision.objects.exists() and not Operation.objects.filter(kind="build").exists()


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("notes", {"notes": "x" * 4251}),
        ("notes", {"notes": "a\x00b"}),
        ("version", {"version": "x" * 41}),
        ("version", {"version": "a\nb"}),
        ("channel", {"channel": "nightly"}),
        ("Discovery.md", {"discovery_text": "---\ntagline: " + "x" * 70 + "\n---\n"}),
        ("tagline", {"listed": True, "discovery_text": "---\napp_name: Herons\n---\ntext"}),
        ("body", {"listed": True, "discovery_text": "---\napp_name: Herons\ntagline: x\n---\n"}),
        ("app_name", {"listed": True, "discovery_text": "---\ntagline: x\n---\ntext"}),
    ],
)
def test_a_release_over_a_limit_is_refused_by_its_field_and_not_made(
    cluster: MemoryCluster, field: str, changes: dict[str, object]
) -> None:
    developer = active_person(cluster)
    app = publish.create_project(developer, "Herons")
    revision = uploaded(developer, app)
    settle()
    with pytest.raises(Refused) as refusal:
        publish.publish_release(developer, app, revision_id=revision.pk, **changes)  # type: ignore[arg-type]
    assert refusal.value.field == field
    assert not Release.objects.exists()


def test_notes_and_version_of_a_release_may_be_as_long_as_their_limit(cluster: MemoryCluster) -> None:
    developer = active_person(cluster)
    app = publish.create_project(developer, "Herons")
    revision = uploaded(developer, app, SPACEFILE)
    settle()
    made = publish.publish_release(developer, app, revision_id=revision.pk, notes="x" * 4250, version="v" * 40)
    assert (len(made.notes), made.version) == (4250, "v" * 40)
