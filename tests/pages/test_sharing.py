"""People and keys in the console: inviting, answering, making and revoking; and signing out everywhere."""

import re

import pytest
from django.test import Client

from apps_catalog.models import Release
from tenants.models import AppKey, AppSignIn, Instance, InstanceMicro, RevokedSession, Share
from tenants.services.sessions import entered_app, sid_of
from tests.pages.conftest import PASSWORD, Person, install


@pytest.fixture
def copy(ada: Person, notes: Release) -> Instance:
    instance = install(ada, notes, "mine")
    InstanceMicro.objects.filter(instance=instance).update(takes_keys=True)
    return instance


def access(copy: Instance, more: str = "") -> str:
    return f"/instances/{copy.pk}/access/{more}"


def test_an_invitation_is_seen_and_answered_on_both_sides(ada: Person, stranger: Person, copy: Instance) -> None:
    answer = ada.browser.post(access(copy, "people/"), {"email": stranger.user.email}, follow=True)
    assert f"{stranger.user.email} is invited" in answer.content.decode()
    share = Share.objects.get()
    for path in ("/", "/shared/"):
        page = stranger.browser.get(path).content.decode()
        assert "from ada" in page and "Accept" in page and copy.host not in page
    page = stranger.browser.post(f"/shared/{share.pk}/", {"answer": "accept"}, follow=True).content.decode()
    assert copy.host in page and "Leave" in page
    assert copy.host in stranger.browser.get("/").content.decode()
    assert "Only you and whom you invited can reach" in ada.browser.get(f"/instances/{copy.pk}/").content.decode()
    page = ada.browser.get(access(copy)).content.decode()
    assert "stranger</td>" in page and "Let in no more" in page
    ada.browser.post(access(copy, f"people/{share.pk}/end/"))
    assert copy.host not in stranger.browser.get("/").content.decode()
    assert "Only you can reach" in ada.browser.get(f"/instances/{copy.pk}/").content.decode()


def test_a_wrong_address_is_told_beside_its_field(ada: Person, copy: Instance) -> None:
    for email, words in (("nobody", "valid email"), (ada.user.email, "your own address")):
        answer = ada.browser.post(access(copy, "people/"), {"email": email})
        assert answer.status_code == 422
        assert words in answer.content.decode()
    assert not Share.objects.exists()


def test_a_key_is_shown_once_and_a_double_click_makes_one(ada: Person, copy: Instance) -> None:
    page = ada.browser.get(access(copy)).content.decode()
    once = re.search(r'name="idempotency_key" value="([^"]+)"', page)
    assert once
    form = {"name": "script", "micro": "main", "ends": "", "idempotency_key": once[1]}
    shown = ada.browser.post(access(copy, "keys/"), form).content.decode()
    text = re.search(r'id="new-key">(fhk_[^<]+)<', shown)
    assert text and AppKey.objects.get().prefix in text[1]
    again = ada.browser.post(access(copy, "keys/"), form, follow=True).content.decode()
    assert "was made already" in again and text[1] not in again
    assert text[1] not in ada.browser.get(access(copy)).content.decode()
    ada.browser.post(access(copy, f"keys/{AppKey.objects.get().pk}/revoke/"))
    assert not AppKey.objects.exists()


def test_apps_without_keys_show_nothing_of_keys(ada: Person, copy: Instance) -> None:
    InstanceMicro.objects.update(takes_keys=False)
    page = ada.browser.get(access(copy)).content.decode()
    assert "Invite somebody" in page and "Make a key" not in page


def test_signing_out_everywhere_ends_every_session_here_and_in_apps(ada: Person) -> None:
    other = Client()
    other.force_login(ada.user)
    sids = [sid_of(str(browser.session.session_key)) for browser in (ada.browser, other)]
    assert all(entered_app(ada.user, sid) for sid in sids)
    assert ada.browser.post("/settings/sign-out/").status_code == 302
    for browser in (ada.browser, other):
        assert browser.get("/settings/")["Location"].startswith("/accounts/login/")
    assert set(RevokedSession.objects.values_list("sid", flat=True)) >= set(sids)
    # Whoever was on the way into an app at that moment, with the session as it was, does not get there.
    assert not entered_app(ada.user, "on-its-way")


def test_another_password_ends_other_sessions_and_those_of_apps_but_not_this_one(ada: Person) -> None:
    other = Client()
    other.force_login(ada.user)
    sids = [sid_of(str(browser.session.session_key)) for browser in (ada.browser, other)]
    assert all(entered_app(ada.user, sid) for sid in sids)
    fresh = "An0ther-horse-entirely"
    form = {"oldpassword": PASSWORD, "password1": fresh, "password2": fresh}
    assert ada.browser.post("/accounts/password/change/", form).status_code == 302
    assert ada.browser.get("/settings/").status_code == 200
    assert other.get("/settings/")["Location"].startswith("/accounts/login/")
    assert set(RevokedSession.objects.values_list("sid", flat=True)) == set(sids)
    assert sid_of(str(ada.browser.session.session_key)) not in sids
    assert AppSignIn.objects.count() == 2
