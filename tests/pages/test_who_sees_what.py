"""Every page for nobody, its owner, a stranger and an operator."""

from datetime import UTC, datetime

import pytest
from django.db import OperationalError
from django.test import Client
from django.urls import URLPattern
from django.utils import timezone

from apps_catalog.models import Release, Revision
from provider.pages.urls import urlpatterns
from tenants import metering
from tenants.metering import Reading
from tenants.models import Action, AppKey, Collection, DataKey, Import, InstanceMicro, Share
from tests.pages.conftest import SPACEFILE, Person, install, operation_of

LOGIN = "/accounts/login/"

# name → (nobody, owner, stranger, operator) for GET; None: sent to the sign-in page.
EXPECTED: dict[str, tuple[int | None, int, int, int]] = {
    "home": (200, 200, 200, 200),
    "catalog": (200, 200, 200, 200),
    "app": (200, 200, 200, 200),
    "app_report": (None, 200, 200, 200),
    "spacefile_schema": (200, 200, 200, 200),
    "developer": (200, 200, 200, 200),
    "app_icon": (404, 404, 404, 404),
    "app_media": (404, 404, 404, 404),
    "app_install": (302, 302, 302, 302),
    "instance": (None, 200, 404, 404),
    "instance_restart": (None, 405, 405, 405),
    "instance_sleep": (None, 405, 405, 405),
    "instance_wake": (None, 405, 405, 405),
    "instance_sleep_after": (None, 405, 405, 405),
    "action": (None, 200, 404, 404),
    "action_run": (None, 405, 405, 405),
    "action_switch": (None, 405, 405, 405),
    "instance_remove": (None, 200, 404, 404),
    "instance_update": (None, 405, 405, 405),
    "instance_rollback": (None, 405, 405, 405),
    "instance_follow": (None, 405, 405, 405),
    "instance_settings": (None, 200, 404, 404),
    "instance_access": (None, 200, 404, 404),
    "instance_invite": (None, 302, 404, 404),
    "share_end": (None, 405, 405, 405),
    "app_key_create": (None, 302, 404, 404),
    "app_key_revoke": (None, 405, 405, 405),
    "calls_renew": (None, 405, 405, 405),
    "shared": (None, 200, 200, 200),
    "share_answer": (None, 405, 405, 405),
    "operation": (None, 200, 404, 404),
    "operation_retry": (None, 405, 405, 405),
    "cloud": (None, 200, 200, 200),
    "usage": (None, 200, 200, 200),
    "traffic_cap": (None, 405, 405, 405),
    "statement": (None, 200, 404, 404),
    "statement_file": (None, 200, 404, 404),
    "billing": (None, 200, 200, 200),
    "plan_change": (None, 200, 200, 200),
    "checkout": (None, 405, 405, 405),
    "portal": (None, 405, 405, 405),
    "collections": (None, 200, 200, 200),
    "collection": (None, 200, 404, 404),
    "collection_remove": (None, 200, 404, 404),
    # 503: no data server runs here. What its owner sees of one that does: test_items.py.
    "base": (None, 503, 404, 404),
    "base_item": (None, 404, 404, 404),
    "part_create": (None, 405, 404, 404),
    "base_remove": (None, 503, 404, 404),
    "base_cell": (None, 404, 404, 404),
    "drive_remove": (None, 503, 404, 404),
    "archive_upload": (None, 405, 404, 404),
    "archive_part": (None, 405, 404, 404),
    "base_add": (None, 503, 404, 404),
    "base_delete": (None, 405, 404, 404),
    "drive": (None, 503, 404, 404),
    "drive_file": (None, 404, 404, 404),
    "drive_content": (None, 404, 404, 404),
    "drive_rename": (None, 405, 404, 404),
    "drive_delete": (None, 405, 404, 404),
    "drive_upload": (None, 405, 404, 404),
    "drive_upload_part": (None, 405, 404, 404),
    "collection_export": (None, 405, 405, 405),
    "collection_upload": (None, 405, 405, 405),
    "collection_import": (None, 200, 404, 404),
    "collection_wipe": (None, 200, 404, 404),
    "data_key_create": (None, 302, 404, 404),
    "data_key_revoke": (None, 405, 405, 405),
    "projects": (None, 200, 200, 200),
    "project": (None, 200, 404, 404),
    "project_release": (None, 302, 302, 302),
    "release_change": (None, 405, 405, 405),
    "project_change": (None, 405, 405, 405),
    "revision": (None, 200, 404, 404),
    "settings": (None, 200, 200, 200),
    "sign_out_everywhere": (None, 405, 405, 405),
    "account_close": (None, 200, 200, 200),
    "account_keep": (None, 405, 405, 405),
    "token_create": (None, 302, 302, 302),
    "token_revoke": (None, 405, 405, 405),
    "operator": (404, 404, 404, 200),
    "operator_catalog": (404, 404, 404, 200),
    "operator_review": (404, 404, 404, 405),
    "operator_report": (404, 404, 404, 405),
    "operator_unlist": (404, 404, 404, 405),
    "operator_plans": (404, 404, 404, 200),
    "operator_plan": (404, 404, 404, 200),
    "operator_plan_new": (404, 404, 404, 200),
    "operator_plan_file": (404, 404, 404, 200),
    "operator_clouds": (404, 404, 404, 200),
    "operator_cloud": (404, 404, 404, 200),
    "operator_cloud_plan": (404, 404, 404, 405),
    "override_end": (404, 404, 404, 405),
    "operator_support": (404, 404, 404, 405),
    "operator_retry": (404, 404, 404, 405),
    "operator_team": (404, 404, 404, 200),
    "operator_audit": (404, 404, 404, 200),
    "mails": (404, 404, 404, 200),
    "mail": (404, 404, 404, 404),
    "docs": (200, 200, 200, 200),
    "docs_page": (200, 200, 200, 200),
}
STREAMS = {
    *("cloud_events", "operation_events", "instance_events", "instance_logs"),
    *("project_events", "revision_events", "revision_logs", "export_file"),
}


@pytest.fixture
def addresses(ada: Person, notes: Release) -> dict[str, str]:
    instance = install(ada, notes, "mine")
    operation = operation_of(ada, instance, "failed")
    from tests.pages.conftest import release_app

    own = release_app(ada.user, "garden")
    collection = Collection.objects.create(cloud=ada.cloud, name="diary")
    key = DataKey.objects.create(collection=collection, name="k", prefix="x", sha256="a" * 64, generation=1)
    preview = {"items": 1, "files": 0, "bytes": 1, "conflicts": 0, "bases": [], "drives": [], "ignored": []}
    seen = Import.objects.create(collection=collection, staged="a" * 16, preview={**preview, "problems": []})
    share = Share.objects.create(instance=instance, email="guest@example.net", mailed_at=timezone.now())
    now = timezone.now()
    Action.objects.create(instance=instance, key="tidy", micro="main", default_interval="1 day", counted_from=now)
    metering.record([Reading("pod", instance.pk, cpu_us=1)], datetime(2026, 1, 10, tzinfo=UTC))
    AppKey.objects.create(pk=key.pk, instance=instance, name="k", prefix="x", sha256="b" * 64)
    return {
        "collection_id": collection.pk,
        "base": "things",
        "drive": "docs",
        "upload": "none",
        "key_id": key.pk,
        "import_id": seen.pk,
        "instance_id": instance.pk,
        "key": "tidy",
        "share_id": share.pk,
        "operation_id": operation.pk,
        "slug": "notes",
        "revision_id": own.revision_id,
        "release_id": own.pk,
        "report_id": "rptnone",
        "handle": "workshop",
        "cloud_id": ada.cloud.pk,
        "override_id": "ovrnone",
        "token_id": "toknone",
        "name": "20200101-000000-1.log:0",
        "path": "architecture.md",
        "month": "2026-01",
        "number": "1",
    }


def _path(pattern: URLPattern, addresses: dict[str, str]) -> str:
    from django.urls import reverse

    wanted = dict(addresses)
    if pattern.name in ("project", "project_release", "project_change", "release_change", "revision"):
        wanted["slug"] = "garden"
    if pattern.name in ("plan_change", "operator_plan"):
        wanted["slug"] = "household"
    kwargs = {name: wanted[name] for name in pattern.pattern.converters}
    return reverse(f"console:{pattern.name}", kwargs=kwargs)


def test_every_page_has_an_entry_in_the_matrix() -> None:
    assert {pattern.name for pattern in urlpatterns} == set(EXPECTED) | STREAMS


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_page_answers_each_kind_of_visitor_as_it_should(
    name: str, addresses: dict[str, str], ada: Person, stranger: Person, operator: Person
) -> None:
    pattern = next(pattern for pattern in urlpatterns if pattern.name == name)
    path = _path(pattern, addresses)
    visitors = (Client(), ada.browser, stranger.browser, operator.browser)
    for visitor, expected in zip(visitors, EXPECTED[name], strict=True):
        answer = visitor.get(path)
        if expected is None:
            assert answer.status_code == 302 and answer["Location"].startswith(LOGIN), path
        else:
            assert answer.status_code == expected, path


@pytest.mark.parametrize(
    "name",
    [
        *("instance_restart", "instance_remove", "instance_update", "instance_rollback", "instance_follow"),
        *("instance_sleep", "instance_wake", "instance_sleep_after", "action", "action_run", "action_switch"),
        *("instance_settings", "operation_retry", "release_change", "project_change"),
        *("collection_remove", "data_key_create", "data_key_revoke"),
        *("instance_invite", "share_end", "app_key_create", "app_key_revoke", "share_answer", "calls_renew"),
        *("base_item", "base_add", "base_delete"),
        *("drive_rename", "drive_delete", "drive_upload", "drive_upload_part"),
    ],
)
def test_a_stranger_changes_nothing_and_learns_nothing(
    name: str, addresses: dict[str, str], stranger: Person, ada: Person
) -> None:
    pattern = next(pattern for pattern in urlpatterns if pattern.name == name)
    assert (
        stranger.browser.post(f"{_path(pattern, addresses)}?key=a", {"data": "delete", "key": "a"}).status_code == 404
    )
    assert ada.cloud.instances.get().state == "running"


def test_a_post_without_the_forms_token_is_refused_in_our_own_words(ada: Person) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(ada.user)
    answer = browser.post("/projects/", {"name": "x"})
    assert answer.status_code == 403
    assert "Please send that again" in answer.content.decode()


def test_pages_may_load_nothing_from_elsewhere_and_be_framed_by_nobody(ada: Person) -> None:
    policy = ada.browser.get("/")["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


def test_pages_have_no_inline_scripts_or_styles(ada: Person, addresses: dict[str, str]) -> None:
    for path in ("/", "/apps/", "/apps/notes/", f"/instances/{addresses['instance_id']}/", "/cloud/", "/settings/"):
        page = ada.browser.get(path).content.decode()
        assert "<script>" not in page and " style=" not in page and "<style" not in page and " onclick=" not in page


def test_an_unknown_address_answers_404_in_the_consoles_look(ada: Person) -> None:
    answer = ada.browser.get("/nothing-here/")
    assert answer.status_code == 404
    assert "There is nothing here" in answer.content.decode()


@pytest.mark.parametrize(
    "path", ["../README.md", "..%2f.gitignore", ".hidden.md", "nothing.md", "../provider/settings.py"]
)
def test_docs_show_nothing_but_docs(db: None, path: str) -> None:
    assert Client().get(f"/docs/{path}").status_code == 404


def test_while_the_database_is_away_a_page_says_so(ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_user: object) -> None:
        raise OperationalError("the connection is closed")

    monkeypatch.setattr("tenants.views.snapshots.home", broken)
    answer = ada.browser.get("/")
    assert answer.status_code == 503 and answer["Retry-After"]
    assert "Back in a moment" in answer.content.decode()


def test_the_admin_has_no_door_of_its_own(ada: Person, operator: Person) -> None:
    path = "/operator/admin/tenants/cloud/"
    assert Client().get(path, follow=True).redirect_chain[-1][0].startswith(LOGIN)
    assert ada.browser.get(path, follow=True).status_code == 403
    assert operator.browser.get(path).status_code == 200


def test_people_are_told_which_paths_of_an_app_anybody_may_open(ada: Person, notes: Release) -> None:
    app, copy = f"/apps/{notes.app.slug}/", f"/instances/{install(ada, notes, 'mine').pk}/"
    assert "Nobody but you" in ada.browser.get(app).content.decode()
    assert "Only you can reach this address" in ada.browser.get(copy).content.decode()
    micro = SPACEFILE["micros"][0] | {"public_routes": ["/shared/*"]}  # type: ignore[index,operator]
    Revision.objects.filter(pk=notes.revision_id).update(spacefile=SPACEFILE | {"micros": [micro]})
    InstanceMicro.objects.update(public_routes=["/shared/*"], mount="api")
    assert '<span class="mono">/shared/*</span>' in ada.browser.get(app).content.decode()
    assert '<span class="mono">/api/shared/*</span>' in ada.browser.get(copy).content.decode()
