"""Updates, settings and releases on pages."""

import re

import pytest

from apps_catalog.models import App, Release, Revision
from tenants.models import Instance
from tenants.services import publish
from tenants.services.listing import show
from tenants.services.overrides import grant_override
from tests.pages.conftest import MANIFEST, SPACEFILE, Person, install, release_app

PUBLIC = {**SPACEFILE["micros"][0], "public_routes": ["/share/*"]}  # type: ignore[index,dict-item]
PRESETS = {
    **SPACEFILE["micros"][0],  # type: ignore[index,dict-item]
    "presets": {"env": [{"name": "TOKEN", "description": "<b>From</b> the shop", "default": "hunter2"}]},
}


def newer(app: App, notes: str = "", micro: object = None, version: str = "2.0.0") -> Release:
    spacefile = SPACEFILE if micro is None else {**SPACEFILE, "micros": [micro]}
    revision = Revision.objects.create(
        app=app,
        tag=f"otter-{version}",
        state="ready",
        source=f"sha256:{'c' * 64}",
        source_bytes=1000,
        spacefile=spacefile,
        manifest=MANIFEST,
        digest=f"sha256:{'d' * 64}",
    )
    return Release.objects.create(app=app, revision=revision, version=version, listed=True, notes=notes)


def page(person: Person, path: str) -> str:
    answer = person.browser.get(path)
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_an_update_is_shown_with_its_notes_and_comes_with_a_click(ada: Person, notes: Release) -> None:
    copy = install(ada, notes, "mine")
    path = f"/instances/{copy.pk}/"
    assert "is there" not in page(ada, path)
    release = newer(notes.app, "Now **faster** <script>alert(1)</script> ![x](http://e/x.png)")
    shown = page(ada, path)
    assert "Version 2.0.0 is there" in shown and "<strong>faster</strong>" in shown
    assert "<script>alert" not in shown and "e/x.png" not in shown
    assert "With it the app takes 512 MiB of memory, 0.2 CPU and 500 MiB of storage." in shown.replace("\n", " ")
    assert "Then 19.5 GiB of memory" in shown and "it costs nothing more" in shown
    assert ada.browser.post(f"{path}update/", {"release": release.pk}).status_code == 302
    copy.refresh_from_db()
    assert (copy.release_id, copy.state) == (release.pk, "updating")
    assert "is there" not in page(ada, path)


def test_an_update_that_does_not_fit_says_so_before_the_click(ada: Person, notes: Release) -> None:
    copy = install(ada, notes, "mine")
    release = newer(notes.app)
    [main], [built] = SPACEFILE["micros"], MANIFEST["micros"]  # type: ignore[misc]
    micros = [main, {**main, "name": "api", "primary": False}]
    manifest = {"micros": [built, {**built, "name": "api", "root": "api/app"}]}
    Revision.objects.filter(pk=release.revision_id).update(spacefile={"v": 0, "micros": micros}, manifest=manifest)
    grant_override(None, ada.cloud, {"memory_mib": 600}, reason="r")
    shown = page(ada, f"/instances/{copy.pk}/")
    assert "It does not fit." in shown and "512 of 600 MiB are taken, 512 more needed" in shown
    assert "costs nothing more" not in shown and re.search(r'type="submit" disabled>.{0,400}Update', shown, re.S)


def test_what_an_update_newly_demands_must_be_ticked(ada: Person, notes: Release) -> None:
    copy = install(ada, notes, "mine")
    path = f"/instances/{copy.pk}/"
    release = newer(notes.app, micro=PUBLIC)
    shown = page(ada, path)
    assert "Anybody may open /share/*, without signing in." in shown
    (key,) = re.findall(r'name="consent" value="([^"]+)" required', shown)
    answer = ada.browser.post(f"{path}update/", {"release": release.pk}, follow=True)
    assert "The new version asks for more" in answer.content.decode()
    copy.refresh_from_db()
    assert copy.release_id == notes.pk
    ada.browser.post(f"{path}update/", {"release": release.pk, "consent": [key]})
    copy.refresh_from_db()
    assert copy.release_id == release.pk


def test_updates_come_by_themselves_only_if_the_owner_says_so(ada: Person, notes: Release) -> None:
    copy = install(ada, notes, "mine")
    path = f"/instances/{copy.pk}/"
    assert "Update by itself" in page(ada, path)
    ada.browser.post(f"{path}follow/", {"on": "yes"})
    copy.refresh_from_db()
    assert copy.auto_update and "Ask me each time" in page(ada, path)
    ada.browser.post(f"{path}follow/", {"on": "no"})
    copy.refresh_from_db()
    assert not copy.auto_update


def test_an_update_that_did_not_start_is_explained_and_can_be_gone_back_from(ada: Person, notes: Release) -> None:
    copy = install(ada, notes, "mine", update_error="It does not listen.", log_tail="Traceback <b>")
    path = f"/instances/{copy.pk}/"
    shown = page(ada, path)
    assert "The update did not start" in shown and "Traceback &lt;b&gt;" in shown
    assert "Go back to the version before" not in shown
    first = notes.revision
    release = newer(notes.app)
    Instance.objects.filter(pk=copy.pk).update(
        revision=release.revision, release=release, previous_revision=first, previous_release=notes
    )
    assert "Go back to the version before" in page(ada, path)
    ada.browser.post(f"{path}rollback/")
    copy.refresh_from_db()
    assert (copy.release_id, copy.state) == (notes.pk, "updating")


def test_settings_are_filled_in_and_never_shown_again(ada: Person) -> None:
    release = release_app(ada.user, "shop")
    Revision.objects.filter(pk=release.revision_id).update(spacefile={**SPACEFILE, "micros": [PRESETS]})
    release.refresh_from_db()
    copy = install(ada, release, "mine")
    path = f"/instances/{copy.pk}/settings/"
    shown = page(ada, path)
    assert "hunter2" not in shown and "&lt;b&gt;From" in shown and "The app’s own value" in shown
    ada.browser.post(path, {"value0": "s3cret-value"})
    copy.refresh_from_db()
    assert copy.config == {"TOKEN": "s3cret-value"}
    Instance.objects.filter(pk=copy.pk).update(state="running")
    shown = page(ada, path)
    assert "s3cret-value" not in shown and "leave empty to keep it" in shown
    assert "Nothing was changed" in ada.browser.post(path, {"value0": ""}, follow=True).content.decode()
    ada.browser.post(path, {"value0": "", "clear0": "on"})
    copy.refresh_from_db()
    assert copy.config == {}
    too_long = ada.browser.post(path, {"value0": "x" * 10_001})
    assert too_long.status_code == 422


def test_a_developer_sees_their_own_copy_and_withdraws_a_release(ada: Person) -> None:
    release = release_app(ada.user, "garden")
    install(ada, release, "garden-dev", is_builder=True)
    shown = page(ada, "/projects/garden/")
    assert "garden-dev" in shown and "Withdraw" in shown
    path = f"/projects/garden/releases/{release.pk}/"
    for what, listed, yanked in (("unlist", False, False), ("list", True, False), ("yank", True, True)):
        assert ada.browser.post(path, {"do": what}).status_code == 302
        release.refresh_from_db()
        assert (release.listed, release.yanked_at is not None) == (listed, yanked)
    assert "withdrawn" in page(ada, "/projects/garden/")
    assert not App.objects.get(slug="garden").listed
    assert "garden" not in ada.browser.get("/apps/").content.decode()
    ada.browser.post(path, {"do": "restore"})
    assert App.objects.get(slug="garden").listed
    assert ada.browser.post(path, {"do": "something"}).status_code == 400


def test_a_project_is_abandoned_or_deleted_by_its_name(ada: Person, stranger: Person) -> None:
    release = release_app(ada.user, "garden")
    ada.browser.post("/projects/garden/change/", {"do": "abandon"})
    assert "Nobody looks after this app" in page(stranger, "/apps/garden/")
    ada.browser.post("/projects/garden/change/", {"do": "maintain"})
    assert "Nobody looks after this app" not in page(stranger, "/apps/garden/")
    copy = install(stranger, release, "mine")
    for typed in ("wrong", "garden"):
        ada.browser.post("/projects/garden/change/", {"do": "delete", "name": typed})
        assert page(ada, "/projects/garden/")
    Instance.objects.filter(pk=copy.pk).update(state="removed")
    answer = ada.browser.post("/projects/garden/change/", {"do": "delete", "name": "garden"}, follow=True)
    assert "garden is deleted" in answer.content.decode()
    assert ada.browser.get("/projects/garden/").status_code == stranger.browser.get("/apps/garden/").status_code == 404


def test_the_catalog_shows_the_page_of_the_newest_release_that_is_offered(ada: Person) -> None:
    release = release_app(ada.user, "garden")
    second = newer(release.app, version="2")
    Release.objects.filter(pk=release.pk).update(page={"name": "Garden", "tagline": "First"})
    Release.objects.filter(pk=second.pk).update(page={"name": "Gardens", "tagline": "Second"})
    show(release.app)
    assert App.objects.get(slug="garden").tagline == "Second"
    publish.Release.objects.filter(pk=second.pk).update(listed=False)
    show(release.app)
    app = App.objects.get(slug="garden")
    assert (app.name, app.tagline) == ("Garden", "First")


@pytest.mark.parametrize("path", ["update/", "rollback/", "follow/"])
def test_buttons_of_versions_answer_to_posts_only(ada: Person, notes: Release, path: str) -> None:
    copy = install(ada, notes, "mine")
    assert ada.browser.get(f"/instances/{copy.pk}/{path}").status_code == 405
