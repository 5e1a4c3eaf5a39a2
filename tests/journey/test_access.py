"""Getting in: by signing in, by invitation, with keys; from one micro to another; and getting out everywhere."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.journey.apps import RECORDER
from tests.journey.data_apps import SHELL
from tests.journey.people import Person
from tests.journey.stack import Stack, client, until

# Two micros: one runs what it is told, the other tells what reached it and takes keys.
PAIR = {
    "Spacefile": (
        "v: 0\nmicros:\n  - {name: shell, src: shell, engine: python3.9, primary: true, run: python main.py}\n"
        "  - {name: back, src: back, engine: python3.9, presets: {api_keys: true}}\n"
    ),
    "shell/main.py": SHELL["main.py"],
    "back/main.py": RECORDER["main.py"],
}
SLOW_MS = 60_000
JSON = {"Accept": "application/json"}


@dataclass(frozen=True)
class Pair:
    owner: Person
    instance: dict[str, Any]

    @property
    def url(self) -> str:
        return str(self.instance["url"])

    def run(self, command: str) -> str:
        answer = self.owner.web.post(self.url, content=command.encode(), headers={"Origin": self.url.rstrip("/")})
        assert answer.status_code == 200, answer.text
        return answer.text

    def seen(self, marker: str) -> list[dict[str, str]]:
        """The headers with which `back` got what has the marker."""
        found = self.owner.web.get(f"{self.url}back/seen").json()
        return [dict(request["headers"]) for request in found if marker in request["line"]]


@pytest.fixture(scope="module")
def pair(freehold: Stack) -> Iterator[Pair]:
    owner = Person(freehold, "pair")
    instance = owner.running(owner.publish("pair", PAIR))
    owner.web.get(instance["url"])
    yield Pair(owner, instance)
    owner.remove(instance["id"])


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    made = chromium.new_context()
    made.set_default_timeout(20_000)
    yield made
    made.close()


def test_a_micro_calls_another_with_the_key_it_is_given(pair: Pair) -> None:
    """As the former platform's documents say: its own address with https, and the key."""
    ask = 'curl -sS -o /dev/null -w "%{http_code}" "https://$DETA_SPACE_APP_HOSTNAME/back/x?who=micro"'
    assert pair.run(f'{ask} -H "X-API-Key: $DETA_API_KEY"') == "200"
    (headers,) = pair.seen("who=micro")
    assert "x-api-key" not in headers and "x-freehold-user" not in headers
    assert pair.run(f"{ask} -H 'X-API-Key: wrong'") == "401"
    assert pair.run(f"{ask} -H 'Accept: application/json'") == "401"


def test_python_and_node_in_a_sandbox_trust_the_address_too(pair: Pair) -> None:
    python = (
        "import os, urllib.request as u; h = os.environ['DETA_SPACE_APP_HOSTNAME'];"
        "print(u.urlopen(u.Request(f'https://{h}/back/x', headers={'X-API-Key': os.environ['DETA_API_KEY']})).status)"
    )
    assert pair.run(f"python3 -c {shlex.quote(python)}").strip() == "200"


def test_the_key_of_one_copy_opens_no_other(pair: Pair, freehold: Stack) -> None:
    other = Person(freehold, "second")
    instance = other.running(pair.instance["app"])
    other.web.get(instance["url"])
    theirs = Pair(other, instance).run("printf %s $DETA_API_KEY")
    assert re.fullmatch("[0-9a-f]{64}", theirs) and theirs != pair.run("printf %s $DETA_API_KEY")
    web = client()
    for headers in ({"X-API-Key": theirs}, {"X-Space-App-Key": theirs}):
        assert web.get(f"{pair.url}back/x?who=other", headers=headers | JSON).status_code == 401
    assert pair.seen("who=other") == []
    other.remove(instance["id"])


def test_a_program_with_a_key_gets_in_until_it_is_revoked(pair: Pair) -> None:
    keys = f"instances/{pair.instance['id']}/keys/"
    made = pair.owner.call("POST", keys, json={"name": "script"})
    web, key = client(), {"X-Space-App-Key": made["key"]}
    assert web.get(f"{pair.url}back/x?who=script", headers=key).text == "private words of the owner"
    assert web.get(f"{pair.url}x", headers=key).status_code == 401  # the other micro takes none
    (headers,) = pair.seen("who=script")
    assert not [name for name in headers if "freehold" in name or "key" in name]
    used = lambda: pair.owner.call("GET", keys)["results"][0]["last_used_at"]  # noqa: E731
    until(used, 90, "its last use written down")
    pair.owner.call("DELETE", f"{keys}{made['id']}/")
    until(lambda: web.get(f"{pair.url}back/x", headers=key).status_code == 401, 5, "the key refused")


def test_an_invited_person_is_let_in_named_and_let_out_again(pair: Pair, freehold: Stack) -> None:
    guest, url = Person(freehold, "guest"), f"{pair.url}back/x"
    assert guest.web.get(f"{url}?who=early").status_code == 403
    people = f"instances/{pair.instance['id']}/people/"
    share = pair.owner.call("POST", people, json={"email": guest.email})
    mails = lambda: [f for f in (freehold.home / "mail").glob("*") if guest.email in f.read_text()]  # noqa: E731
    until(mails, 60, "the mail")
    assert f"{freehold.console}/shared/" in mails()[0].read_text()
    guest.call("POST", f"shared/{share['id']}/accept/")
    assert guest.web.get(f"{url}?who=guest").text == "private words of the owner"
    (headers,) = pair.seen("who=guest")
    assert (headers["x-freehold-email"], headers["x-freehold-role"]) == (guest.email, "guest")
    assert guest.api.get(f"instances/{pair.instance['id']}/").status_code == 404
    pair.owner.call("DELETE", f"{people}{share['id']}/")
    refused = lambda: guest.web.get(url, headers=JSON, follow_redirects=False).status_code == 401  # noqa: E731
    until(refused, 5, "the guest refused")
    assert pair.seen("who=early") == []


def _sign_in(page: Page, person: Person) -> None:
    page.locator("input[name=login]").fill(person.email)
    page.locator("input[name=password]").fill(person.password)
    page.locator("main form button[type=submit]").first.click()


def test_a_first_visit_signed_out_leads_through_the_sign_in_back_to_the_deep_link(
    pair: Pair, context: BrowserContext
) -> None:
    page, deep = context.new_page(), f"{pair.url}back/notes/7?tab=a%20b&who=deep"
    page.goto(deep)
    expect(page).to_have_url(re.compile("/accounts/login/"))
    _sign_in(page, pair.owner)
    expect(page).to_have_url(deep)
    expect(page.get_by_text("private words of the owner")).to_be_visible()
    names = {cookie["name"] for cookie in context.cookies(pair.url)}
    assert names == {"freehold_app", "freehold_tries"}


def test_an_app_can_neither_read_nor_plant_what_the_console_believes(
    pair: Pair, context: BrowserContext, freehold: Stack
) -> None:
    page = context.new_page()
    page.goto(pair.url)
    _sign_in(page, pair.owner)
    expect(page.get_by_role("heading", name="Shell")).to_be_visible()
    assert page.evaluate("document.cookie") == ""
    before = {cookie["name"]: cookie["value"] for cookie in context.cookies(freehold.console)}
    page.evaluate(
        """() => {
          for (const name of ['freehold_session', 'freehold_csrf', 'freehold_app', 'messages'])
            for (const domain of ['', 'localhost', 'apps.localhost', 'freehold.localhost'])
              document.cookie = `${name}=planted; Path=/${domain && '; Domain=' + domain}`
        }"""
    )
    assert {cookie["name"]: cookie["value"] for cookie in context.cookies(freehold.console)} == before
    page.goto(f"{freehold.console}/settings/")
    expect(page.get_by_role("definition").filter(has_text=pair.owner.email)).to_be_visible()
    # What it planted beside the gate's own cookie costs a redirect, and leaves nobody locked out or let in.
    page.goto(f"{pair.url}?who=planted")
    expect(page.get_by_role("heading", name="Shell")).to_be_visible()


def test_an_app_can_neither_post_to_the_console_nor_frame_it(
    pair: Pair, context: BrowserContext, freehold: Stack
) -> None:
    page = context.new_page()
    page.goto(pair.url)
    _sign_in(page, pair.owner)
    expect(page.get_by_role("heading", name="Shell")).to_be_visible()
    outcome = page.evaluate(
        """async console => {
          const read = async (path, options) => {
            try { return (await fetch(console + path, options)).status } catch (error) { return 'blocked' }
          }
          const credentials = 'include'
          return [await read('/settings/', { credentials }), await read('/api/v1/cloud/', { credentials })]
        }""",
        freehold.console,
    )
    assert outcome == ["blocked", "blocked"]
    page.evaluate(
        """console => {
          const form = document.createElement('form')
          form.method = 'post'
          form.action = console + '/settings/sign-out/'
          document.body.append(form)
          form.submit()
        }""",
        freehold.console,
    )
    page.wait_for_load_state()
    expect(page.get_by_text("Please send that again").or_(page.get_by_text("Forbidden")).first).to_be_visible()
    page.goto(f"{freehold.console}/settings/")
    expect(page.get_by_role("definition").filter(has_text=pair.owner.email)).to_be_visible()


def test_signing_out_everywhere_ends_every_browser_and_every_app(
    pair: Pair, chromium: Browser, freehold: Stack
) -> None:
    contexts = [chromium.new_context() for _ in range(2)]
    pages = [made.new_page() for made in contexts]
    for page in pages:
        page.goto(pair.url)
        _sign_in(page, pair.owner)
        expect(page.get_by_role("heading", name="Shell")).to_be_visible(timeout=SLOW_MS)
    pages[0].goto(f"{freehold.console}/settings/")
    pages[0].get_by_role("button", name="Sign out everywhere").click()
    expect(pages[0]).to_have_url(re.compile("/accounts/login/"))
    cookies = [{c["name"]: c["value"] for c in made.cookies(pair.url)} for made in contexts]
    for jar in cookies:
        until(lambda jar=jar: _status(pair, jar) == 401, 5, "the app's session refused")
    pages[1].goto(pair.url)
    expect(pages[1]).to_have_url(re.compile("/accounts/login/"))
    for made in contexts:
        made.close()
    pair.owner._web = None  # its session ended as well


def _status(pair: Pair, cookies: dict[str, str]) -> int:
    with client(cookies=httpx.Cookies()) as web:
        said = "; ".join(f"{name}={value}" for name, value in cookies.items())
        return web.get(f"{pair.url}x", headers=JSON | {"Cookie": said}).status_code
