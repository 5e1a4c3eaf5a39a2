"""Every page of the operators' desk in a browser, over a provider of some weeks: wide and as on a phone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Browser, Page, expect

from tests import operators
from tests.pages.chromium import PHONE, WIDE, chromium, committed, console, picture
from tests.pages.provider_seed import Provider, seed
from tests.pages.test_operator_matrix import PAGES

__all__ = ["chromium", "committed", "console"]
# The page's name in urls.py and of its picture → its address. What only acts has no page of its own.
ADDRESSES = {
    "operator": "/operator/",
    "operator_clouds": "/operator/clouds/",
    "operator_cloud": "/operator/clouds/{ada}/",
    "operator_catalog": "/operator/catalog/",
    "operator_plans": "/operator/plans/",
    "operator_plan": "/operator/plans/plus/",
    "operator_plan_new": "/operator/plan-new/",
    "operator_team": "/operator/team/",
    "operator_audit": "/operator/audit/",
    "mails": "/operator/mails/",
    "mail": "",
}
NO_PAGE = {"operator_plan_file"}  # a download
EMPTY = ("None.", "Nothing.", "None yet.", "No reports.", "Nothing waits.", "Nothing was measured yet.", "Nobody has")


@pytest.fixture
def provider(committed: None, settings: Any, tmp_path: Path) -> Iterator[Provider]:
    settings.EMAIL_FILE_PATH = tmp_path / "mail"
    with operators.everything_beats():
        yield seed(tmp_path / "mail")


@pytest.fixture
def page(chromium: Browser, provider: Provider, console: str) -> Iterator[Page]:
    """Signed in as the operator. Whatever a page complains about fails the test."""
    signed_in = Client()
    signed_in.force_login(provider.keeper)
    context = chromium.new_context(viewport=WIDE, base_url=console)
    cookies = [{"name": name, "value": one.value, "url": console} for name, one in signed_in.cookies.items()]
    context.add_cookies(cookies)  # type: ignore[arg-type]
    made, complaints = context.new_page(), []
    made.on("pageerror", lambda error: complaints.append(str(error)))
    made.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    made.on("response", lambda answer: complaints.append(answer.url) if answer.status >= 400 else None)
    yield made
    context.close()
    assert complaints == []


def test_every_page_that_is_one_is_looked_at() -> None:
    assert {name for name, one in PAGES.items() if one.reads is not None} - NO_PAGE == set(ADDRESSES)


def test_every_page_of_the_desk_is_full_and_fits(page: Page, provider: Provider) -> None:
    for name, address in ADDRESSES.items():
        if address:
            page.goto(address.format(ada=provider.ada.pk))
        else:
            page.get_by_role("link", name="Your cloud is suspended").click()
        expect(page.locator("h1")).to_be_visible()
        if name not in ("mail",):
            assert page.locator("nav.desk a[aria-current]").count() == 1, name
        words = page.locator("main").inner_text()
        assert not [sentence for sentence in EMPTY if sentence in words], name
        for size in (WIDE, PHONE):
            page.set_viewport_size(size)  # type: ignore[arg-type]
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= size["width"], f"{name} is {wide} px wide at {size['width']}"
        picture(page, name.replace("_", "-") if name.startswith("operator") else f"operator-{name}", whole=True)


def test_what_the_pictures_show_is_what_rows_say(page: Page, provider: Provider) -> None:
    page.goto("/operator/")
    for words in (
        "It is being tried again",
        "Revenue a month",
        "Failed operations",
        "2 suspended",
        "north",
        "suspended",
    ):
        expect(page.get_by_text(words).first).to_be_visible()
    page.get_by_label("Find a person or a cloud").fill("ada")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("link", name="ada", exact=True).click()
    expect(page.get_by_role("img", name="Requests")).to_be_visible()
    page.locator("#support").get_by_label("Why").fill("She asked for the mail again.")
    page.get_by_role("button", name="Mail the confirmation again").click()
    expect(page.get_by_text("The mail is on its way.")).to_be_visible()
    expect(page.locator("#events").get_by_text("She asked for the mail again.")).to_be_visible()
