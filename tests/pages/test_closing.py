"""`/settings/close/`: a slip closes nothing; closing signs out; it can be kept."""

from django.test import Client

from apps_catalog.models import Release
from tenants.models import Cloud, Instance
from tests.pages.conftest import PASSWORD, Person, install


def test_the_page_says_what_goes_and_when(ada: Person, notes: Release) -> None:
    install(ada, notes, "mine")
    page = ada.browser.get("/settings/close/").content.decode()
    assert "1 installed app with all data" in page and "in 30 days" in page
    assert '/settings/close/"' in ada.browser.get("/settings/").content.decode()


def test_another_word_than_the_handle_closes_nothing(ada: Person) -> None:
    for word in ("", "adam", "yes"):
        answer = ada.browser.post("/settings/close/", {"handle": word})
        assert answer.status_code == 422
    assert Cloud.objects.get(pk=ada.cloud.pk).state == "active"


def test_closing_signs_out_everywhere_and_keeping_brings_it_back(ada: Person, notes: Release) -> None:
    install(ada, notes, "mine")
    elsewhere = Client()
    assert elsewhere.login(email=ada.user.email, password=PASSWORD)
    answer = ada.browser.post("/settings/close/", {"handle": "ada"}, follow=True)
    assert "you can sign in and keep it" in answer.content.decode()
    assert Cloud.objects.get(pk=ada.cloud.pk).state == "closing"
    for browser in (ada.browser, elsewhere):
        assert browser.get("/cloud/").status_code == 302
    again = Client()
    assert again.login(email=ada.user.email, password=PASSWORD)
    for path in ("/", "/cloud/"):
        assert "Your account is being closed" in again.get(path).content.decode()
    assert "Keep my account" in again.get("/settings/close/").content.decode()
    answer = again.post("/settings/keep/", follow=True)
    assert "You keep your account" in answer.content.decode()
    assert Cloud.objects.get(pk=ada.cloud.pk).state == "active"
    assert Instance.objects.get().wanted == "running"


def test_keeping_what_is_not_closing_says_so(ada: Person) -> None:
    assert "not being closed" in ada.browser.post("/settings/keep/", follow=True).content.decode()


def test_an_operator_is_told_why_not(operator: Person) -> None:
    answer = operator.browser.post("/settings/close/", {"handle": "keeper"})
    assert answer.status_code == 422
    assert "An operator’s account" in answer.content.decode().replace("&#x27;", "’")
