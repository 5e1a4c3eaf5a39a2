"""The hand-off between console and app: by redirects alone, for the owner alone, once, in the browser that began it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.utils import timezone

from tenants.models import SignInCode
from tenants.services.sessions import end_all, end_session
from tests.gate.conftest import CONSOLE, Gate, wait_until
from tests.gate.tenancy import House, console_session, new_house, new_user, settle
from tests.gate.wire import Door, Reply, Upstream


@dataclass
class Browser:
    """Keeps cookies per host and follows redirects between console and apps, one step at a time."""

    door: Door
    scheme: str = "http"
    jars: dict[str, dict[str, str]] = field(default_factory=dict)

    def get(self, url: str) -> Reply:
        parts = urlsplit(url)
        jar = self.jars.setdefault(parts.hostname or "", {})
        cookie = (("Cookie", "; ".join(f"{k}={v}" for k, v in jar.items())),) if jar else ()
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        reply = self.door.ask(parts.netloc, target, *cookie, ("Accept", "text/html"))
        for line in reply.all("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            jar[name] = value
            if "Max-Age=0" in line:
                del jar[name]
        return reply

    def follow(self, url: str) -> tuple[str, Reply]:
        for _ in range(8):
            reply = self.get(url)
            if reply.status != 302:
                return url, reply
            location = reply.header("location")
            url = location if "://" in location else f"{url.partition('/')[0]}//{urlsplit(url).netloc}{location}"
        raise AssertionError("redirected for ever")

    def signed_in(self, key: str) -> "Browser":
        self.jars.setdefault(CONSOLE, {})["freehold_session"] = key
        return self


@pytest.fixture
def house(gate: Gate, upstreams: Callable[[str], Upstream]) -> House:
    house = new_house()
    house.add("", upstreams("main"), [])
    settle(gate, house)
    return house


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_owner_ends_on_the_page_asked_for_by_redirects_alone(gate: Gate, house: House, scheme: str) -> None:
    door = gate.http if scheme == "http" else gate.https
    browser = Browser(door, scheme).signed_in(house.console_key)
    asked = f"{scheme}://{house.host}:{door.port}/notes/7?tab=a%20b&x=//y"
    ended, reply = browser.follow(asked)
    assert (ended, reply.status) == (asked, 200)
    prefix = "__Host-" if scheme == "https" else ""
    assert set(browser.jars[house.host]) == {f"{prefix}freehold_app", f"{prefix}freehold_tries", "theme"}


def test_cookies_of_the_sign_in_are_host_only_and_out_of_reach(gate: Gate, house: House) -> None:
    for door, scheme in ((gate.http, "http"), (gate.https, "https")):
        first = door.ask(f"{house.host}:{door.port}", "/", ("Accept", "text/html"))
        (nonce,) = first.all("set-cookie")
        assert "HttpOnly" in nonce and "Domain" not in nonce and "SameSite=Lax" in nonce
        assert nonce.startswith("__Host-") is ("Secure" in nonce) is (scheme == "https")
        assert (first.header("cache-control"), first.header("referrer-policy")) == ("no-store", "no-referrer")
        assert first.header("location").startswith(f"{scheme}://{CONSOLE}:{door.port}/gate/enter?")


def test_whoever_is_not_signed_in_is_sent_to_the_login_first(gate: Gate, house: House) -> None:
    browser = Browser(gate.http)
    reply = browser.get(browser.get(f"http://{house.host}:{gate.http.port}/").header("location"))
    assert reply.status == 302
    assert reply.header("location").startswith("/accounts/login/?next=/gate/enter")


def test_a_stranger_gets_a_page_that_says_so(gate: Gate, house: House) -> None:
    browser = Browser(gate.http).signed_in(console_session(new_user()))
    ended, reply = browser.follow(f"http://{house.host}:{gate.http.port}/")
    assert (urlsplit(ended).hostname, reply.status) == (CONSOLE, 403)
    assert SignInCode.objects.filter(instance=house.instance).count() == 0


def _begun(gate: Gate, house: House, path: str = "/") -> tuple[Browser, str]:
    """A browser that stands before the callback, and the callback's address."""
    browser = Browser(gate.http).signed_in(house.console_key)
    enter = browser.get(f"http://{house.host}:{gate.http.port}{path}").header("location")
    return browser, browser.get(enter).header("location")


def test_a_code_works_once(gate: Gate, house: House) -> None:
    browser, callback = _begun(gate, house)
    nonce = dict(browser.jars[house.host])
    assert browser.get(callback).status == 302
    browser.jars[house.host] = nonce
    assert browser.get(callback).status == 400


def test_a_code_works_only_in_the_browser_that_began(gate: Gate, house: House) -> None:
    _, callback = _begun(gate, house)
    other = Browser(gate.http)
    other.get(f"http://{house.host}:{gate.http.port}/")
    reply = other.get(callback)
    assert (reply.status, reply.all("set-cookie")) == (400, [])


def test_of_many_who_bring_the_same_code_at_once_one_gets_in(gate: Gate, house: House) -> None:
    browser, callback = _begun(gate, house)
    jar = "; ".join(f"{name}={value}" for name, value in browser.jars[house.host].items())
    target = callback.partition(f":{gate.http.port}")[2]
    with ThreadPoolExecutor(16) as pool:
        ask = partial(gate.http.ask, f"{house.host}:{gate.http.port}", target, ("Cookie", jar), ("Accept", "text/html"))
        replies = list(pool.map(lambda _: ask(), range(16)))
    assert sorted(reply.status for reply in replies) == [302, *[400] * 15]


def test_a_browser_that_keeps_no_cookies_is_told_so(gate: Gate, house: House) -> None:
    browser, callback = _begun(gate, house)
    browser.jars[house.host].clear()
    reply = browser.get(callback)
    assert reply.status == 400
    assert "keeps no cookies" in reply.text and "Allow cookies" in reply.text


def test_a_browser_that_forgets_its_session_is_told_so_instead_of_going_round(gate: Gate, house: House) -> None:
    browser = Browser(gate.http).signed_in(house.console_key)
    url = f"http://{house.host}:{gate.http.port}/"
    for _ in range(3):
        assert browser.follow(url)[1].status == 200
        del browser.jars[house.host]["freehold_app"]
    reply = browser.get(url)
    assert reply.status == 400 and "forgets that you are signed in" in reply.text
    # The page's link leads on: whoever has changed something may try again at once.
    assert browser.get(url).status == 302


def test_whoever_was_on_the_way_while_all_sessions_ended_does_not_get_in(gate: Gate, house: House) -> None:
    browser, callback = _begun(gate, house)
    end_all(house.owner)
    assert browser.get(callback).status == 400
    enter = browser.get(f"http://{house.host}:{gate.http.port}/").header("location")
    assert browser.get(enter).header("location").startswith("/accounts/login/")


def test_a_code_works_only_on_its_host(gate: Gate, house: House) -> None:
    other = new_house(owner=house.owner)
    settle(gate, other)
    browser, callback = _begun(gate, house)
    browser.jars[other.host] = dict(browser.jars[house.host])
    assert browser.get(callback.replace(house.host, other.host)).status == 400


def test_a_code_runs_out(gate: Gate, house: House) -> None:
    browser, callback = _begun(gate, house)
    SignInCode.objects.filter(instance=house.instance).update(expires_at=timezone.now())
    assert browser.get(callback).status == 400


@pytest.mark.parametrize(
    "next_path", ["//evil.example/", "https://evil.example/", "/\\evil.example", "/a b", "/__space/x"]
)
def test_the_way_back_stays_on_the_host(gate: Gate, house: House, next_path: str) -> None:
    browser, _ = _begun(gate, house)
    enter = browser.get(f"http://{house.host}:{gate.http.port}/").header("location")
    query = parse_qs(urlsplit(enter).query)
    forged = urlencode({"host": house.host, "next": next_path, "nonce": query["nonce"][0]})
    callback = browser.get(f"http://{CONSOLE}:{gate.http.port}/gate/enter?{forged}").header("location")
    ended = browser.get(callback).header("location")
    assert ended.startswith(f"http://{house.host}:{gate.http.port}/")


def test_signing_out_of_the_console_ends_app_sessions_at_once(gate: Gate, house: House) -> None:
    browser = Browser(gate.http).signed_in(house.console_key)
    url = f"http://{house.host}:{gate.http.port}/"
    assert browser.follow(url)[1].status == 200
    end_session(house.console_key)
    wait_until(lambda: browser.get(url).status == 302, "the session is over", 1.0)


def test_programs_are_told_in_json(gate: Gate, house: House) -> None:
    reply = gate.http.ask(house.host, "/", ("Accept", "application/json"))
    assert (reply.status, reply.text) == (401, '{"errors":["Unauthorized"]}')
