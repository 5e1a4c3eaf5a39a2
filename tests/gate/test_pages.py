"""What the gate says by itself: pages for people, JSON for programs, the right status, nothing that a cache would keep."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Page, sync_playwright

from provider.gate import pages
from tests.gate.conftest import CONSOLE, Gate
from tests.gate.tenancy import House, new_house, settle
from tests.gate.wire import Reply, Upstream, spell
from tests.journey.test_browser import violations

JSON, HTML = ("Accept", "application/json"), ("Accept", "text/html,*/*;q=0.8")


@dataclass
class Scene:
    gate: Gate
    house: House
    app: Upstream

    def ask(self, *headers: tuple[str, str], target: str = "/p", method: str = "GET") -> Reply:
        return self.gate.http.ask(self.house.host, target, self.house.cookie(), *headers, method=method)


@pytest.fixture
def scene(gate: Gate, upstreams: Callable[[str], Upstream]) -> Scene:
    house, app = new_house(), upstreams("main")
    house.add("", app, [])
    settle(gate, house)
    return Scene(gate, house, app)


def _is_page(reply: Reply, status: int, title: str) -> bool:
    said = (reply.status, reply.header("content-type"), reply.header("cache-control"))
    return said == (status, "text/html; charset=utf-8", "no-store") and f"<h1>{title}</h1>" in reply.text


def _is_json(reply: Reply, status: int, said: object) -> bool:
    got = (reply.status, reply.header("content-type"), reply.header("cache-control"))
    return got == (status, "application/json", "no-store") and json.loads(reply.body) == said


def test_an_app_that_is_not_there(scene: Scene) -> None:
    scene.app.close()
    assert _is_page(scene.ask(HTML), 503, "No answer from here right now")
    reply = scene.ask(JSON)
    assert _is_json(reply, 503, {"errors": ["The app does not answer"]}) and reply.header("retry-after") == "2"


def test_an_address_that_is_nobodys(gate: Gate) -> None:
    nobody = "nobody.apps.localhost"
    assert _is_page(gate.http.ask(nobody, "/", HTML), 404, "There is nothing at this address")
    assert _is_json(gate.http.ask(nobody, "/", JSON), 404, {"errors": ["Not found"]})


def test_a_request_that_nobody_can_read(scene: Scene) -> None:
    assert _is_page(scene.ask(HTML, target="/a%zz"), 400, "This address cannot be read")
    assert _is_json(scene.ask(JSON, target="/a%zz"), 400, {"errors": ["Bad request"]})
    assert _is_json(scene.ask(JSON, method="TRACE"), 405, {"errors": ["Method not allowed"]})


def test_a_console_that_is_away_or_is_sent_too_much(gate: Gate) -> None:
    gate.stop("live")  # it stands in for the web here
    page = gate.http.ask(CONSOLE, "/cloud/", HTML)
    assert _is_page(page, 503, "Back in a moment") and page.header("retry-after") == "2"
    answer = gate.http.ask(CONSOLE, "/api/v1/cloud/", JSON)
    assert (answer.status, json.loads(answer.body)["error"]["code"]) == (503, "unavailable")
    huge = spell(CONSOLE, "/api/v1/x/", JSON, ("Content-Length", str(10**12)))
    answer = gate.http.send(huge.replace(b"GET", b"POST", 1), "POST")
    assert (answer.status, json.loads(answer.body)["error"]["code"]) == (413, "too_large")
    assert _is_page(
        gate.http.send(huge.replace(b"GET", b"POST", 1).replace(b"/api/", b"/up/"), "POST"), 413, "That is too large"
    )


@pytest.fixture(scope="module")
def browser_page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield browser.new_page()
        browser.close()


SHOWN = pages.FIXED | {
    "with a link": pages.page(
        "This app could not be started", "x" * 200, link=("http://x/", "Open its page in the console")
    )
}


@pytest.mark.parametrize("name", SHOWN)
def test_everyone_can_read_it(browser_page: Page, name: str) -> None:
    for scheme in ("light", "dark"):
        browser_page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        for width in (1280, 360):
            browser_page.set_viewport_size({"width": width, "height": 700})
            # What forwards itself would be gone before it was looked at; people are told, and may stay on the page before.
            browser_page.set_content(SHOWN[name].replace('http-equiv="refresh"', 'name="again"'))
            assert violations(browser_page) == []
            assert browser_page.evaluate("document.documentElement.scrollWidth <= innerWidth")
