"""/api/v1/projects/ and apps/."""

import pytest

from apps_catalog.models import Revision
from tests.api.client import Program, error
from tests.worlds import SPACEFILE, MemoryCluster, active_person, settle, zipped

pytestmark = pytest.mark.django_db
FILES: dict[str, str | bytes] = {"Spacefile": SPACEFILE, "main.py": "app = None\n"}
DISCOVERY = "---\napp_name: Herons\ntagline: Counts herons\n---\nCounts them.\n"


def test_push_release_and_install_by_somebody_else(cluster: MemoryCluster) -> None:
    developer, user = Program(active_person(cluster)), Program(active_person(cluster))
    project = developer("POST", "projects/", {"name": "Herons"}).json()
    slug = project["slug"]
    assert error(user("GET", f"apps/{slug}/"))[0] == 404
    revision = developer.upload(slug, zipped(FILES), as_of="2023-05-01")
    assert revision.status_code == 202
    settle()
    shown = developer("GET", f"projects/{slug}/revisions/{revision.json()['id']}/").json()
    assert (shown["state"], shown["size_bytes"]) == ("ready", 1234)
    wish = {"revision": shown["id"], "version": "1.0.0", "notes": "", "channel": "stable", "listed": False}
    assert developer("POST", f"projects/{slug}/releases/", wish).status_code == 201
    assert error(developer("POST", f"projects/{slug}/releases/", wish)) == (422, "version_taken", "version")
    assert user("GET", f"apps/{slug}/").json()["listed"] is False
    assert user("GET", "apps/").json()["results"] == []
    assert user("POST", "instances/", {"app": slug}).status_code == 202
    listed = {"revision": shown["id"], "listed": True}
    half = {**listed, "discovery": "---\napp_name: Herons\n---\nCounts them.\n"}
    assert error(developer("POST", f"projects/{slug}/releases/", half))[1:] == ("incomplete_listing", "tagline")
    assert developer("POST", f"projects/{slug}/releases/", {**listed, "discovery": DISCOVERY}).status_code == 201
    assert [app["name"] for app in user("GET", "apps/?q=her&sort=recent").json()["results"]] == ["Herons"]
    assert len(user("GET", f"apps/{slug}/releases/").json()["results"]) == 1
    assert len(developer("GET", f"projects/{slug}/releases/").json()["results"]) == 2


def test_a_project_is_its_developers(cluster: MemoryCluster) -> None:
    developer, stranger = Program(active_person(cluster)), Program(active_person(cluster))
    slug = developer("POST", "projects/", {"name": "Herons"}).json()["slug"]
    revision = developer.upload(slug, zipped(FILES)).json()["id"]
    for method, path in (
        ("GET", f"projects/{slug}/"),
        ("PATCH", f"projects/{slug}/"),
        ("GET", f"projects/{slug}/revisions/"),
        ("GET", f"projects/{slug}/revisions/{revision}/"),
        ("GET", f"projects/{slug}/releases/"),
        ("POST", f"projects/{slug}/releases/"),
    ):
        assert error(stranger(method, path, {} if method != "GET" else None))[0] == 404
    assert error(stranger.upload(slug, zipped(FILES)))[0] == 404
    assert stranger("GET", "projects/").json()["results"] == []
    assert developer("PATCH", f"projects/{slug}/", {"name": "Egrets"}).json()["name"] == "Egrets"


def test_bad_uploads_name_what_is_wrong(cluster: MemoryCluster) -> None:
    developer = Program(active_person(cluster))
    slug = developer("POST", "projects/", {"name": "Herons"}).json()["slug"]
    assert error(developer.upload(slug, "text")) == (422, "invalid", "bundle")
    assert error(developer.upload(slug, zipped({"main.py": "x"}))) == (422, "invalid_bundle", "bundle")
    broken = developer.upload(slug, zipped({"Spacefile": "v: 0\nmicros: [{name: a}]\n"}))
    assert error(broken) == (422, "invalid_spacefile", "Spacefile")
    assert broken.json()["error"]["detail"]["problems"][0]["micro"] == "a"
    assert error(developer.upload(slug, zipped(FILES), as_of="soon")) == (422, "invalid", "as_of")
    assert error(developer.upload(slug, zipped(FILES), state="ready")) == (422, "invalid", "state")
    assert error(developer("POST", f"projects/{slug}/revisions/", {"bundle": "x"}))[0] == 415
    assert not Revision.objects.exists()


def test_the_same_upload_with_its_key_is_one_revision(cluster: MemoryCluster) -> None:
    developer = Program(active_person(cluster))
    slug = developer("POST", "projects/", {"name": "Herons"}).json()["slug"]
    developer.headers["Idempotency-Key"] = "push"
    first, second = (developer.upload(slug, zipped(FILES)).json() for _ in range(2))
    assert first == second
    other = developer.upload(slug, zipped({**FILES, "more.txt": "x"}))
    assert error(other) == (422, "idempotency_key_reused", "Idempotency-Key")
    assert Revision.objects.count() == 1
