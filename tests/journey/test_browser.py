"""The main job in a real browser, from signing up to removing an app. Makes the documents' pictures too."""

import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.journey.apps import CHATTY
from tests.journey.people import Person
from tests.journey.stack import SOURCE, Stack, client, until

WIDE, PHONE = {"width": 1280, "height": 860}, {"width": 360, "height": 740}
SLOW_MS = 60_000
AXE = SOURCE / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    made = chromium.new_context(viewport=WIDE, device_scale_factor=1)
    made.set_default_timeout(20_000)
    yield made
    made.close()


def picture(page: Page, name: str) -> None:
    """Wide and as on a phone, where FREEHOLD_SCREENSHOTS says; nothing otherwise."""
    folder = os.environ.get("FREEHOLD_SCREENSHOTS")
    if not folder:
        return
    for size, suffix in ((WIDE, ""), (PHONE, "-phone")):
        page.set_viewport_size(size)
        page.screenshot(path=Path(folder) / f"{name}{suffix}.png")
    page.set_viewport_size(WIDE)


def sign_up(page: Page, console: str, handle: str) -> tuple[str, str]:
    """Through the form. Returns e-mail and password."""
    email, password = f"{handle}@example.org", f"Corr3ct-horse-{handle}"
    page.goto(f"{console}/accounts/signup/")
    page.locator("input[name=email]").fill(email)
    page.locator("input[name=handle]").fill(handle)
    page.locator("input[name=password1]").fill(password)
    picture(page, "signup")
    page.locator("main form button[type=submit]").first.click()
    return email, password


def install(page: Page, console: str, name: str) -> str:
    """One click on the app's page. Returns the instance's page once it runs."""
    page.goto(f"{console}/apps/")
    page.get_by_role("link", name=re.compile(rf"^{name}\b")).first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(name)
    picture(page, f"app-{name.lower()}")
    page.get_by_role("button", name="Install", exact=True).click()
    page.wait_for_url(re.compile(r"/instances/[^/]+/"))
    expect(page.get_by_role("link", name="Open", exact=True)).to_be_visible(timeout=SLOW_MS)
    return page.url


def _look_at_steps(page: Page, address: str) -> None:
    """Each named step of the install, with the time it took; a fast one may be over before anybody looks."""
    page.goto(address)
    page.get_by_role("listitem").filter(has_text="Install").get_by_role("link").first.click()
    expect(page.locator(".step.succeeded")).to_have_count(4)
    picture(page, "installed")
    page.goto(address)


def opened(page: Page) -> Page:
    """The app in the tab that Open opens: at its own address, without another click."""
    with page.context.expect_page() as tab:
        page.get_by_role("link", name="Open", exact=True).click()
    app = tab.value
    app.wait_for_load_state()
    assert re.match(r"http://localhost-[a-z0-9-]+\.apps\.localhost:\d+/", app.url), app.url
    return app


def test_somebody_signs_up_installs_three_apps_uses_them_and_removes_one(
    context: BrowserContext, freehold: Stack
) -> None:
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(freehold.console)
    picture(page, "landing")
    sign_up(page, freehold.console, f"ada{secrets.token_hex(3)}")
    page.goto(f"{freehold.console}/cloud/")
    expect(page.get_by_text("active").first).to_be_visible(timeout=SLOW_MS)
    page.goto(f"{freehold.console}/apps/")
    picture(page, "catalog")

    notes = install(page, freehold.console, "Notes")
    _look_at_steps(page, notes)
    _use_notes(page, notes)
    install(page, freehold.console, "Links")
    _use_links(page)
    timer = install(page, freehold.console, "Timer")
    _use_timer(page)

    page.goto(freehold.console)
    for name in ("Notes", "Links", "Timer"):
        expect(page.get_by_text(name).first).to_be_visible()
    picture(page, "home")
    page.goto(f"{freehold.console}/cloud/")
    picture(page, "cloud")
    _remove(page, timer, freehold)
    assert problems == []


def _use_notes(page: Page, address: str) -> None:
    """A note written before a restart is there after it."""
    app = opened(page)
    app.get_by_role("button", name="New note").click()
    app.get_by_label("Text of the note").fill("Groceries\nbread, apples, tea")
    expect(app.locator("#state")).to_contain_text(re.compile("saved|changed", re.IGNORECASE))
    expect(app.locator("#list")).to_contain_text("Groceries")
    picture(app, "notes")
    with page.expect_navigation():
        page.get_by_role("button", name="Restart").click()
    newest = page.get_by_role("listitem").filter(has_text="Restart").first

    def restarted() -> bool:
        page.goto(address)
        return "succeeded" in newest.inner_text().lower()

    until(restarted, SLOW_MS / 1000, "the restart over", pause_s=0.5)
    app.reload()
    expect(app.locator("#list")).to_contain_text("Groceries")
    app.close()
    picture(page, "instance")


def _use_links(page: Page) -> None:
    app = opened(page)
    app.get_by_label("Address").fill("https://example.org/reading")
    app.get_by_label("Title").fill("Worth a second look")
    app.get_by_role("button", name="Keep this link").click()
    expect(app.get_by_role("link", name="Worth a second look")).to_be_visible()
    picture(app, "links")
    app.close()


def _use_timer(page: Page) -> None:
    app = opened(page)
    app.get_by_role("button", name="Start").click()
    expect(app.get_by_role("timer")).not_to_have_text("25:00")
    picture(app, "timer")
    app.close()


def _remove(page: Page, address: str, freehold: Stack) -> None:
    page.goto(address)
    host = page.locator("dd a.mono").first.inner_text()
    page.get_by_role("link", name=re.compile("^Remove")).click()
    picture(page, "remove")
    page.get_by_role("button", name="Remove").click()
    page.goto(address)
    expect(page.get_by_text("This copy was removed")).to_be_visible(timeout=SLOW_MS)
    with client() as http:
        assert http.get(f"http://{host}:{freehold.port}/").status_code == 404


def test_what_an_app_writes_appears_on_its_page(context: BrowserContext, freehold: Stack) -> None:
    person, page = signed_in(context, freehold, "reader")
    instance = person.running(person.publish("chatty", CHATTY))
    page.goto(f"{freehold.console}/instances/{instance['id']}/")
    expect(page.locator("#logs .log")).to_contain_text("here I am")
    person.web.get(f"{instance['url']}a-word-from-outside")
    expect(page.locator("#logs .log")).to_contain_text("a-word-from-outside")


def test_a_second_click_on_install_makes_one_instance(context: BrowserContext, freehold: Stack) -> None:
    person, page = signed_in(context, freehold, "double")
    page.goto(f"{freehold.console}/apps/")
    page.get_by_role("link", name=re.compile("^Timer")).first.click()
    # The same form sent again, as a double click does where scripts are slow.
    send = "form => fetch(form.action, {method: 'POST', body: new FormData(form)}).then(answer => answer.url)"
    form = page.locator("form[data-once]").first
    assert len({form.evaluate(send) for _ in range(3)}) == 1
    assert len(person.call("GET", "instances/")["results"]) == 1
    page.get_by_role("button", name="Install", exact=True).dblclick()
    page.wait_for_url(re.compile(r"/instances/[^/]+/"))
    assert len(person.call("GET", "instances/")["results"]) == 1


def test_a_reserved_handle_is_said_beside_its_field(context: BrowserContext, freehold: Stack) -> None:
    page = context.new_page()
    page.goto(f"{freehold.console}/accounts/signup/")
    page.locator("input[name=email]").fill(f"r{secrets.token_hex(3)}@example.org")
    page.locator("input[name=handle]").fill("Admin")
    page.locator("input[name=password1]").fill("Corr3ct-horse-reserved")
    page.locator("main form button[type=submit]").first.click()
    expect(page.get_by_text("reserved")).to_be_visible()
    assert page.locator("input[name=handle]").input_value() == "Admin"


def test_a_stranger_in_a_browser_sees_nothing_of_an_app(chromium: Browser, freehold: Stack) -> None:
    owner = Person(freehold, "owner")
    instance = owner.running(_slug(owner, "Timer"))
    context = chromium.new_context()
    _, page = signed_in(context, freehold, "stranger")
    page.goto(instance["url"])
    expect(page.get_by_role("timer")).to_have_count(0)
    page.goto(f"{freehold.console}/instances/{instance['id']}/")
    expect(
        page.get_by_text("404").or_(page.get_by_text(re.compile("not (here|found)|nothing", re.I))).first
    ).to_be_visible()
    context.close()


def _slug(person: Person, title: str) -> str:
    apps = person.call("GET", "apps/")["results"]
    return next(str(app["slug"]) for app in apps if str(app.get("title") or app["name"]).startswith(title))


def test_no_page_overflows_a_phone(context: BrowserContext, freehold: Stack) -> None:
    person, page = signed_in(context, freehold, "phone")
    instance = person.running(_slug(person, "Notes"))
    page.set_viewport_size(PHONE)
    for path in pages(person, instance["id"]):
        page.goto(f"{freehold.console}{path}")
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= PHONE["width"], f"{path} is {wide} px wide"


def test_every_page_is_accessible(context: BrowserContext, freehold: Stack) -> None:
    person, page = signed_in(context, freehold, "axe")
    instance = person.running(_slug(person, "Notes"))
    faults: dict[str, list[str]] = {}
    for path in pages(person, instance["id"]):
        page.goto(f"{freehold.console}{path}")
        found = violations(page)
        if found:
            faults[path] = found
    assert faults == {}


def test_pages_for_people_who_are_not_signed_in_are_accessible(context: BrowserContext, freehold: Stack) -> None:
    page = context.new_page()
    faults = {}
    for path in (
        "/",
        "/apps/",
        "/accounts/login/",
        "/accounts/signup/",
        "/accounts/password/reset/",
        "/docs/",
        "/nothing",
    ):
        page.goto(f"{freehold.console}{path}")
        if found := violations(page):
            faults[path] = found
    assert faults == {}


def pages(person: Person, instance_id: str) -> list[str]:
    fixed = ["/", "/apps/", "/cloud/", "/projects/", "/settings/", "/docs/"]
    return [
        *fixed,
        f"/apps/{_slug(person, 'Notes')}/",
        f"/instances/{instance_id}/",
        f"/instances/{instance_id}/remove/",
        f"/instances/{instance_id}/access/",
        "/shared/",
    ]


def violations(page: Page) -> list[str]:
    """Rules of WCAG 2.2 AA and axe's best practices that the page breaks, each with the first place."""
    # The console's content policy forbids inline scripts; the debugger's own evaluation is not bound by it.
    page.evaluate(AXE.read_text())
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    result = page.evaluate("tags => axe.run(document, {runOnly: tags, resultTypes: ['violations']})", tags)
    return [f"{rule['id']}: {rule['nodes'][0]['target']} ({len(rule['nodes'])})" for rule in result["violations"]]


def signed_in(context: BrowserContext, freehold: Stack, name: str) -> tuple[Person, Page]:
    """Somebody new whose browser is signed in through the form."""
    person = Person(freehold, name)
    page = context.new_page()
    page.goto(f"{freehold.console}/accounts/login/")
    page.locator("input[name=login]").fill(person.email)
    page.locator("input[name=password]").fill(person.password)
    page.locator("main form button[type=submit]").first.click()
    expect(page).not_to_have_url(re.compile("/accounts/login/"))
    return person, page
