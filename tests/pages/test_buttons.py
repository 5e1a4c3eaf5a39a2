"""What buttons and forms of the console do, and what they say when it cannot be."""

import re
from collections.abc import Callable

import pytest
from django.test import Client
from django.utils import timezone

from apps_catalog.models import App, Release
from tenants.models import ApiToken, Drain, DrainAnswer, Gate, Instance, Operation, Plan
from tenants.services import sleeping
from tests.pages.conftest import PASSWORD, Person, install, operation_of, release_app


def _key(page: str) -> str:
    found = re.search(r'name="idempotency_key" value="([^"]+)"', page)
    assert found is not None
    return found.group(1)


def test_one_click_installs_and_leads_to_the_copy(ada: Person, notes: Release) -> None:
    key = _key(ada.browser.get("/apps/notes/").content.decode())
    answer = ada.browser.post("/apps/notes/install/", {"idempotency_key": key})
    made = Instance.objects.get(cloud=ada.cloud)
    assert answer.status_code == 302 and answer["Location"] == f"/instances/{made.pk}/"
    assert Operation.objects.get(instance=made).kind == "install"


def test_a_second_click_is_the_same_copy_and_another_visit_another_one(ada: Person, notes: Release) -> None:
    key = _key(ada.browser.get("/apps/notes/").content.decode())
    places = {ada.browser.post("/apps/notes/install/", {"idempotency_key": key})["Location"] for _ in range(3)}
    assert len(places) == 1 and Instance.objects.count() == 1
    fresh = _key(ada.browser.get("/apps/notes/").content.decode())
    ada.browser.post("/apps/notes/install/", {"idempotency_key": fresh})
    assert Instance.objects.count() == 2


def test_an_install_over_quota_is_refused_beside_the_button(ada: Person, notes: Release) -> None:
    Plan.objects.update(instances=0)
    answer = ada.browser.post("/apps/notes/install/", {"idempotency_key": "k"})
    assert answer.status_code == 422
    assert "Not installed." in answer.content.decode()
    assert not Instance.objects.exists()


def test_an_invalid_name_is_explained_beside_the_field_and_kept(ada: Person, notes: Release) -> None:
    answer = ada.browser.post("/apps/notes/install/", {"idempotency_key": "k", "alias": "No Good!"})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "An alias has 1 to" in page and 'value="No Good!"' in page
    assert not Instance.objects.exists()


def test_nobody_who_installs_is_asked_to_sign_in_and_comes_back_to_the_app(db: None, notes: Release) -> None:
    answer = Client().post("/apps/notes/install/", {"idempotency_key": "k"})
    assert answer["Location"] == "/accounts/login/?next=/apps/notes/"


def test_restart_begins_an_operation_and_a_busy_copy_says_why_not(ada: Person, notes: Release) -> None:
    mine = install(ada, notes, "mine")
    path = f"/instances/{mine.pk}/restart/"
    assert ada.browser.post(path)["Location"] == f"/instances/{mine.pk}/"
    mine.refresh_from_db()
    assert mine.state == "updating"
    assert "try again when that is over" in ada.browser.post(path, follow=True).content.decode()


def _steady(copy: Instance) -> Instance:
    """The cluster has brought it to what is wanted."""
    Instance.objects.filter(pk=copy.pk).update(observed_generation=copy.generation)
    return copy


def test_a_copy_is_put_to_sleep_and_woken_by_buttons(ada: Person, notes: Release) -> None:
    mine = _steady(install(ada, notes, "mine"))
    page = f"/instances/{mine.pk}/"
    assert "Sleep now" in ada.browser.get(page).content.decode()
    assert ada.browser.post(f"{page}sleep/")["Location"] == page
    assert Drain.objects.get().subject == mine.pk
    assert "Let open requests come to an end" in ada.browser.get(page).content.decode()
    Gate.objects.create(id="g", cell_id=ada.cloud.cell_id, seen_at=timezone.now())
    DrainAnswer.objects.create(drain=Drain.objects.get(), gate_id="g", open=0)
    sleeping.finish_drains()
    shown = ada.browser.get(page).content.decode()
    assert "It sleeps" in shown and "Wake now" in shown and "Sleep now" not in shown
    ada.browser.post(f"{page}wake/")
    mine.refresh_from_db()
    assert mine.state == "waking"


def test_a_sleep_that_cannot_be_says_why_on_the_page(ada: Person, notes: Release) -> None:
    mine = _steady(install(ada, notes, "mine"))
    ada.browser.post(f"/instances/{mine.pk}/sleep/")
    Drain.objects.update(until=timezone.now())
    sleeping.finish_drains()
    assert "Not every gate has answered" in ada.browser.get(f"/instances/{mine.pk}/").content.decode()


def test_the_idle_time_is_chosen_from_a_list(ada: Person, notes: Release) -> None:
    mine = install(ada, notes, "mine")
    page = f"/instances/{mine.pk}/"
    assert "As the plan says (15 minutes)" in ada.browser.get(page).content.decode()
    for after, stored in (("3600", 3600), ("0", 0), ("", None)):
        ada.browser.post(f"{page}sleep-after/", {"after": after})
        mine.refresh_from_db()
        assert mine.sleep_after_s == stored
        assert f'<option value="{after}" selected>' in ada.browser.get(page).content.decode()
    answer = ada.browser.post(f"{page}sleep-after/", {"after": "-3"}, follow=True)
    assert "Choose one of the times." in answer.content.decode()


@pytest.mark.parametrize(("choice", "deletes"), [("keep", False), ("delete", True)])
def test_removal_does_with_the_data_what_was_chosen(ada: Person, notes: Release, choice: str, deletes: bool) -> None:
    mine = install(ada, notes, "mine")
    ada.browser.post(f"/instances/{mine.pk}/remove/", {"data": choice})
    mine.refresh_from_db()
    assert (mine.state, mine.wanted, mine.delete_data) == ("removing", "removed", deletes)


def test_removal_without_a_choice_removes_nothing(ada: Person, notes: Release) -> None:
    mine = install(ada, notes, "mine")
    assert ada.browser.post(f"/instances/{mine.pk}/remove/").status_code == 422
    mine.refresh_from_db()
    assert mine.state == "running"


def test_a_failed_operation_is_retried_once(ada: Person, notes: Release) -> None:
    mine = install(ada, notes, "mine", "failed")
    failed = operation_of(ada, mine, "failed")
    answer = ada.browser.post(f"/operations/{failed.pk}/retry/")
    again = Operation.objects.exclude(pk=failed.pk).filter(state="queued").get()
    assert answer["Location"] == f"/operations/{again.pk}/"
    answer = ada.browser.post(f"/operations/{failed.pk}/retry/", follow=True)
    assert "Something newer has happened since" in answer.content.decode()


def test_a_token_is_shown_once_and_kept_as_a_fingerprint(ada: Person) -> None:
    form = {"name": "laptop", "scopes": "read", "ends": "90", "idempotency_key": "k"}
    page = ada.browser.post("/settings/tokens/", form).content.decode()
    shown = re.search(r"fh_[a-z2-7]+_[\w-]{20,}", page)
    assert shown is not None
    assert shown.group(0) not in ada.browser.get("/settings/").content.decode()
    assert "cannot be shown again" in ada.browser.post("/settings/tokens/", form, follow=True).content.decode()
    token = ApiToken.objects.get()
    assert token.scopes == ["read"] and shown.group(0).split("_", 2)[2] not in token.secret_sha256


def test_a_revoked_token_is_gone_and_a_strangers_is_not_there(ada: Person, stranger: Person) -> None:
    ada.browser.post("/settings/tokens/", {"name": "laptop", "scopes": "*", "ends": "", "idempotency_key": "k"})
    path = f"/settings/tokens/{ApiToken.objects.get().pk}/revoke/"
    assert stranger.browser.post(path).status_code == 404
    ada.browser.post(path)
    assert not ApiToken.objects.exists()


def test_a_nameless_project_is_refused_beside_the_field(ada: Person) -> None:
    answer = ada.browser.post("/projects/", {"name": "\u202e", "idempotency_key": "k"})
    assert answer.status_code == 422
    assert "printable characters" in answer.content.decode()
    assert not App.objects.exists()


def test_a_project_is_made_once(ada: Person) -> None:
    places = {ada.browser.post("/projects/", {"name": "Garden", "idempotency_key": "k"})["Location"] for _ in range(2)}
    assert places == {f"/projects/{App.objects.get().slug}/"}


def test_a_revision_of_another_project_cannot_be_released(ada: Person, notes: Release) -> None:
    release_app(ada.user, "garden")
    form = {"revision": notes.revision_id, "version": "2", "channel": "stable", "idempotency_key": "k"}
    assert ada.browser.post("/projects/garden/releases/", form).status_code == 422
    assert Release.objects.filter(app__slug="garden").count() == 1


def test_a_quota_that_an_operator_edits_holds_for_the_next_install(
    ada: Person, operator: Person, notes: Release
) -> None:
    form = {"instances": "0", "reason": "Too many mails", "idempotency_key": "o"}
    assert operator.browser.post(f"/operator/clouds/{ada.cloud.pk}/", form).status_code == 302
    ada.cloud.refresh_from_db()
    assert ada.cloud.quota.instances == 0 and ada.cloud.generation == 2
    admin = operator.browser.get(f"/operator/admin/tenants/cloud/{ada.cloud.pk}/change/").content.decode()
    assert "Too many mails" in admin and f'href="/operator/clouds/{ada.cloud.pk}/"' in admin
    assert ada.browser.post("/apps/notes/install/", {"idempotency_key": "k"}).status_code == 422


def test_an_operator_retries_failed_operations_from_the_admin(ada: Person, operator: Person, notes: Release) -> None:
    mine = install(ada, notes, "mine", "failed")
    failed = operation_of(ada, mine, "failed")
    form = {"action": "retry", "_selected_action": failed.pk}
    operator.browser.post("/operator/admin/tenants/operation/", form)
    mine.refresh_from_db()
    assert mine.state == "updating"


def test_the_admin_deletes_nothing_that_services_own(ada: Person, operator: Person, notes: Release) -> None:
    for path in (f"tenants/cloud/{ada.cloud.pk}", f"tenants/user/{ada.user.pk}", f"apps_catalog/app/{notes.app_id}"):
        assert operator.browser.post(f"/operator/admin/{path}/delete/", {"post": "yes"}).status_code == 403


def test_signing_up_by_the_form_makes_an_account_with_a_cloud(person: Callable[..., Person], settings: object) -> None:
    person("first")
    settings.ACCOUNT_EMAIL_VERIFICATION = "none"  # type: ignore[attr-defined]
    browser = Client()
    form = {"email": "eve@example.org", "handle": "Eve-1", "password1": PASSWORD}
    assert browser.post("/accounts/signup/", form)["Location"] == "/"
    page = browser.get("/").content.decode()
    assert "Creating your cloud" in page and "eve-1" in page


def test_a_reserved_handle_is_refused_beside_the_field_and_kept(db: None) -> None:
    form = {"email": "eve@example.org", "handle": "admin", "password1": PASSWORD}
    page = Client().post("/accounts/signup/", form).content.decode()
    assert "is reserved" in page and 'value="admin"' in page and 'value="eve@example.org"' in page


def test_mails_written_to_the_folder_are_read_by_operators(
    operator: Person, settings: object, tmp_path: object
) -> None:
    from django.core.mail import send_mail

    settings.EMAIL_FILE_PATH = tmp_path  # type: ignore[attr-defined]
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"  # type: ignore[attr-defined]
    send_mail("Grüße <b>", "Follow http://testserver/x/ <script>alert(1)</script>", "a@example.org", ["b@example.org"])
    page = operator.browser.get("/operator/mails/").content.decode()
    assert "Grüße &lt;b&gt;" in page and "b@example.org" in page
    address = re.search(r'href="(/operator/mails/[^"]+:0/)"', page)
    assert address is not None
    mail = operator.browser.get(address.group(1)).content.decode()
    assert 'href="http://testserver/x/"' in mail and "<script>alert" not in mail
