"""The catalog's categories, developers' pages, reports and an operator's look at what is to be listed."""

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from apps_catalog import discovery
from apps_catalog.models import App, AppReport, Category, Release, Revision
from tenants.models import Instance
from tenants.services import publish
from tests.pages.conftest import SPACEFILE, Person, install, release_app


def words(browser: Client, path: str) -> str:
    return str(browser.get(path).content.decode())


def test_the_catalog_is_narrowed_to_a_category(ada: Person) -> None:
    release_app(ada.user, "chess", category="games")
    release_app(ada.user, "diary", category="notes")
    for path, there in (
        ("", {"chess", "diary"}),
        ("?category=games", {"chess"}),
        ("?category=nonsense", {"chess", "diary"}),
    ):
        shown = words(ada.browser, f"/apps/{path}")
        assert {slug for slug in ("chess", "diary") if f"/apps/{slug}/" in shown} == there
    assert 'href="?sort=popular&amp;category=games" aria-current="true"' in words(ada.browser, "/apps/?category=games")
    api = Client().get("/api/v1/apps/?category=games&developer=ada").json()["results"]
    assert [(app["slug"], app["category"]) for app in api] == [("chess", "games")]
    assert Client().get("/api/v1/apps/?category=nonsense").status_code == 422


def test_discovery_and_the_catalog_know_the_same_categories() -> None:
    assert set(discovery.CATEGORIES) == set(Category.values)
    assert discovery.parse("---\ncategory: games\n---\n").category == "games"
    with pytest.raises(discovery.DiscoveryErrors, match="category"):
        discovery.parse("---\ncategory: Games!\n---\n")


def test_a_developers_page_shows_what_they_listed(ada: Person, stranger: Person) -> None:
    assert stranger.browser.get("/developers/ada/").status_code == 404
    release_app(ada.user, "chess")
    release_app(ada.user, "secret", listed=False)
    shown = words(Client(), "/developers/ada/")
    assert "/apps/chess/" in shown and "/apps/secret/" not in shown
    assert 'href="/developers/ada/"' in words(Client(), "/apps/chess/")


def test_an_app_is_reported_once_and_answered_by_the_operator(
    ada: Person, stranger: Person, operator: Person, notes: Release
) -> None:
    path = "/apps/notes/report/"
    assert stranger.browser.post(path, {"concern": "other", "text": ""}).status_code == 422
    assert stranger.browser.post(path, {"concern": "nonsense"}).status_code == 422
    text = "It mines <script>alert(1)</script> coins"
    assert (
        "operator will look"
        in stranger.browser.post(path, {"concern": "harmful", "text": text}, follow=True).content.decode()
    )
    assert "reported this app already" in stranger.browser.post(path, {"concern": "broken"}).content.decode()
    report = AppReport.objects.get()
    shown = words(operator.browser, "/operator/catalog/")
    assert "&lt;script&gt;" in shown and "<script>alert" not in shown
    answer = f"/operator/catalog/reports/{report.pk}/"
    assert ada.browser.post(answer, {"do": "close"}).status_code == 404
    operator.browser.post(answer, {"do": "unlist"})
    assert App.objects.get(slug="notes").listed
    operator.browser.post(answer, {"do": "unlist", "note": "It mines coins"})
    report.refresh_from_db()
    app = App.objects.get(slug="notes")
    assert report.closed_at is not None and not app.listed
    assert "It mines coins" in words(_browser_of(app), "/projects/notes/")
    assert "/apps/notes/" not in words(Client(), "/apps/")
    assert Client().get("/apps/notes/").status_code == 200
    assert stranger.browser.post(path, {"concern": "broken"}).status_code == 302


def test_a_report_comes_through_the_api_too(ada: Person, notes: Release) -> None:
    from tests.api.client import Program, error

    program = Program(ada.user)
    assert program("POST", "apps/notes/reports/", {"concern": "rights"}).status_code == 201
    assert error(program("POST", "apps/notes/reports/", {"concern": "rights"}))[:2] == (409, "reported_already")
    assert error(program("POST", "apps/notes/reports/", {"concern": "x"})) == (422, "invalid_concern", "concern")


def test_where_the_operator_looks_first_nothing_is_listed_before(
    ada: Person, operator: Person, settings: Settings
) -> None:
    settings.REVIEW_LISTINGS = True
    release = release_app(ada.user, "chess", listed=False)
    Release.objects.filter(pk=release.pk).update(listed=False)
    path = f"/projects/chess/releases/{release.pk}/"
    assert "as soon as the operator" in ada.browser.post(path, {"do": "list"}, follow=True).content.decode()
    assert not App.objects.get(slug="chess").listed
    assert "chess" in words(operator.browser, "/operator/catalog/")
    answer = f"/operator/catalog/releases/{release.pk}/"
    operator.browser.post(answer, {"do": "refuse"})
    assert Release.objects.get(pk=release.pk).review == "pending"
    operator.browser.post(answer, {"do": "refuse", "note": "The page says nothing"})
    assert "The page says nothing" in words(ada.browser, "/projects/chess/")
    assert "has refused this release" in ada.browser.post(path, {"do": "list"}, follow=True).content.decode()
    second = _second(release)
    ada.browser.post(f"/projects/chess/releases/{second.pk}/", {"do": "list"})
    operator.browser.post(f"/operator/catalog/releases/{second.pk}/", {"do": "approve"})
    assert App.objects.get(slug="chess").listed
    again = operator.browser.post(f"/operator/catalog/releases/{second.pk}/", {"do": "approve"}, follow=True)
    assert "does not wait" in again.content.decode()
    made = publish.publish_release(
        ada.user, release.app, revision_id=_built(release).pk, listed=True, discovery_text=""
    )
    assert (made.listed, made.review) == (False, "pending")


def test_a_developer_sees_numbers_and_nobody(ada: Person, stranger: Person) -> None:
    release = release_app(ada.user, "chess")
    install(stranger, release, "mine", auto_update=True)
    install(stranger, release, "another")
    install(ada, release, "chess-dev", is_builder=True)
    second = _second(release)
    copy = install(stranger, second, "newest")
    Instance.objects.filter(pk=copy.pk).update(state="removed")
    shown = words(ada.browser, "/projects/chess/")
    assert "Who has it" in shown and "stranger" not in shown
    from tests.api.client import Program

    assert Program(ada.user)("GET", "projects/chess/adoption/").json() == {
        "installs": 0,
        "copies": 2,
        "automatic": 1,
        "versions": [{"version": "1.0.0", "copies": 2}],
    }
    assert Program(stranger.user)("GET", "projects/chess/adoption/").status_code == 404


def test_settings_can_be_filled_in_while_installing(ada: Person) -> None:
    micro = {**SPACEFILE["micros"][0], "presets": {"env": [{"name": "TOKEN"}]}}  # type: ignore[index,dict-item]
    release = release_app(ada.user, "shop")
    Revision.objects.filter(pk=release.revision_id).update(spacefile={**SPACEFILE, "micros": [micro]})
    assert "Fill in its settings" in words(ada.browser, "/apps/shop/")
    assert "Fill in its settings" not in words(Client(), "/apps/shop/")
    ada.browser.post("/apps/shop/install/", {"value0": "s3cret"})
    assert Instance.objects.get().config == {"TOKEN": "s3cret"}


def test_the_apps_page_says_what_it_may_call(ada: Person) -> None:
    release = release_app(ada.user, "shop")
    for egress, said in (
        (None, "Any address on the Internet."),
        ("internet", "Any address on the Internet."),
        ("none", "it is closed to your copy"),
        (["api.example.org"], "Other addresses are not closed to it."),
    ):
        micro = {**SPACEFILE["micros"][0], "egress": egress}  # type: ignore[index,dict-item]
        Revision.objects.filter(pk=release.revision_id).update(spacefile={"v": 1, "micros": [micro]})
        shown = words(ada.browser, "/apps/shop/")
        assert said in shown and ("api.example.org" in shown) == isinstance(egress, list)


def _second(release: Release) -> Release:
    return Release.objects.create(app=release.app, revision=release.revision, version="2", listed=False)


def _built(release: Release) -> Revision:
    return release.revision


def _browser_of(app: App) -> Client:
    browser = Client()
    browser.force_login(app.developer)
    return browser
