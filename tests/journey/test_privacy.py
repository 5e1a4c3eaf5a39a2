"""A second person, and nobody, get none of the first person's app: asserted by what the app itself received."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.journey import raw
from tests.journey.apps import RECORDER
from tests.journey.people import Person
from tests.journey.stack import Stack, client

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
PATHS = ("/", "//", "/%2e%2e/", "/public/../secret", "/public/%2e%2e/secret", "/public%2f..%2fsecret")
MORE_PATHS = (
    "/public//../secret",
    "/public\\..\\secret",
    "/public/..;/secret",
    "/./secret",
    "/Public/x",
    "/%70ublic/x",
)


@dataclass(frozen=True)
class Recorder:
    """An app of `owner` that remembers what reaches it."""

    owner: Person
    stranger: Person
    instance: dict[str, Any]

    @property
    def host(self) -> str:
        return str(self.instance["host"])

    @property
    def authority(self) -> str:
        return f"{self.host}:{self.owner.stack.port}"

    def received(self) -> list[dict[str, Any]]:
        answer = self.owner.web.get(f"{self.instance['url']}seen")
        assert answer.status_code == 200, answer.text
        return list(answer.json())

    def lines(self, marker: str) -> list[dict[str, Any]]:
        return [request for request in self.received() if marker in request["line"]]


@pytest.fixture(scope="module")
def recorder(freehold: Stack) -> Iterator[Recorder]:
    owner, stranger = Person(freehold, "owner"), Person(freehold, "stranger")
    slug = owner.publish("recorder", RECORDER)
    instance = owner.running(slug)
    yield Recorder(owner, stranger, instance)
    owner.remove(instance["id"])


def test_the_owner_reaches_the_app_and_is_named_to_it(recorder: Recorder) -> None:
    answer = recorder.owner.web.get(f"{recorder.instance['url']}hello?who=owner")
    assert answer.text == "private words of the owner"
    (request,) = recorder.lines("who=owner")
    headers = dict(request["headers"])
    assert headers["x-freehold-email"] == recorder.owner.email
    assert headers["x-freehold-role"] == "owner"


def test_the_app_never_sees_a_cookie_of_the_platform(recorder: Recorder) -> None:
    recorder.owner.web.get(f"{recorder.instance['url']}hello?who=cookies")
    (request,) = recorder.lines("who=cookies")
    cookies = " ".join(value for name, value in request["headers"] if name == "cookie")
    assert "freehold" not in cookies.lower()
    assert "session" not in cookies.lower()


@pytest.mark.parametrize("method", METHODS)
def test_nobody_reaches_it_by_any_method(recorder: Recorder, method: str) -> None:
    raw.send(recorder.owner.stack.port, raw.get("/x?who=nobody-method", recorder.authority, method=method))
    assert recorder.lines("who=nobody-method") == []


@pytest.mark.parametrize("path", PATHS + MORE_PATHS)
def test_nobody_reaches_it_by_any_spelling_of_a_path(recorder: Recorder, path: str) -> None:
    raw.send(recorder.owner.stack.port, raw.get(f"{path}?who=nobody-path", recorder.authority))
    assert recorder.lines("who=nobody-path") == []


def test_nobody_reaches_it_by_any_spelling_of_its_host(recorder: Recorder) -> None:
    port, host = recorder.owner.stack.port, recorder.host
    console = f"freehold.localhost:{port}"
    target = "/x?who=nobody-host"
    for hosts in ((host,), (host.upper(),), (f"{host}.",), (f"{host}.:{port}",), (f"{host}:1",), (host, console)):
        raw.send(port, raw.get(target, *hosts))
    raw.send(port, raw.get(f"http://{host}{target}", console))
    raw.send(port, raw.get(f"http://{host}{target}", host))
    raw.send(port, raw.get(target, console, headers=(f"X-Forwarded-Host: {host}", f"X-Upstream: {host}")))
    assert recorder.lines("who=nobody-host") == []


def test_nobody_reaches_it_by_claiming_to_be_the_owner(recorder: Recorder) -> None:
    # The owner has been there, so the app can tell what the owner is called.
    recorder.owner.web.get(f"{recorder.instance['url']}hello?who=claimed")
    mine = dict(recorder.lines("who=claimed")[0]["headers"])
    for name in ("X-Freehold-User", "X_Freehold_User", "X-User", "Remote-User", "X-Upstream"):
        forged = (f"{name}: {mine['x-freehold-user']}", f"X-Freehold-Email: {recorder.owner.email}")
        raw.send(recorder.owner.stack.port, raw.get("/x?who=forger", recorder.authority, headers=forged))
    assert recorder.lines("who=forger") == []


def test_nobody_opens_a_websocket_to_it(recorder: Recorder) -> None:
    for origin in (f"http://{recorder.authority}", "http://evil.example", "null"):
        request = raw.websocket("/ws?who=socket", recorder.authority, f"Origin: {origin}")
        assert b" 101 " not in raw.send(recorder.owner.stack.port, request, timeout_s=2)[:20]
    assert recorder.lines("who=socket") == []


def test_another_person_who_is_signed_in_reaches_nothing(recorder: Recorder) -> None:
    url = recorder.instance["url"]
    for method in ("GET", "POST", "DELETE"):
        answer = recorder.stranger.web.request(method, f"{url}x?who=stranger")
        assert "private words" not in answer.text
    assert recorder.lines("who=stranger") == []


def test_another_persons_session_of_another_app_opens_nothing_here(recorder: Recorder, freehold: Stack) -> None:
    """The cookie of the stranger's own copy, carried over to the owner's host."""
    stranger = recorder.stranger
    app = stranger.call("GET", f"instances/{stranger.running(recorder.instance['app'])['id']}/")
    assert stranger.web.get(app["url"]).status_code == 200
    carried = [f"{cookie.name}={cookie.value}" for cookie in stranger.web.cookies.jar]
    request = raw.get("/x?who=carried", recorder.authority, headers=(f"Cookie: {'; '.join(carried)}",))
    raw.send(freehold.port, request)
    assert recorder.lines("who=carried") == []
    stranger.remove(app["id"])


def test_a_page_of_another_app_cannot_use_the_owners_session(recorder: Recorder) -> None:
    """Sibling apps are same-site to a browser; the gate tells them apart by what browsers say of themselves."""
    url = recorder.instance["url"]
    recorder.owner.web.get(url)
    for headers in (
        {"Origin": "http://other.apps.localhost", "Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
    ):
        recorder.owner.web.get(f"{url}x?who=sibling", headers=headers, follow_redirects=False)
        recorder.owner.web.post(f"{url}x?who=sibling", headers=headers, follow_redirects=False)
    assert recorder.lines("who=sibling") == []


def test_a_public_route_is_open_and_names_nobody(recorder: Recorder) -> None:
    forged = ("X-Freehold-User: someone", "X_Freehold_Role: owner", "X-Forwarded-For: 1.2.3.4")
    answer = raw.send(recorder.owner.stack.port, raw.get("/public/x?who=public", recorder.authority, headers=forged))
    assert answer.startswith(b"HTTP/1.1 200")
    (request,) = recorder.lines("who=public")
    names = [name.replace("_", "-") for name, _ in request["headers"]]
    assert not [name for name in names if name.startswith("x-freehold-")]
    assert "1.2.3.4" not in str(request["headers"])


def test_signing_out_ends_the_owners_app_session_too(recorder: Recorder, freehold: Stack) -> None:
    from tests.journey.people import sign_in
    from tests.journey.stack import until

    web = client(follow_redirects=True)
    sign_in(web, freehold.console, recorder.owner.email, recorder.owner.password)
    url = f"{recorder.instance['url']}x?who=leaving"
    assert web.get(url).status_code == 200
    token = web.cookies.get("freehold_csrf", domain="freehold.localhost") or ""
    page = web.get(f"{freehold.console}/accounts/logout/").text
    form = page.split('name="csrfmiddlewaretoken" value="', 1)[-1].split('"', 1)[0]
    headers = {"Referer": f"{freehold.console}/accounts/logout/", "Origin": freehold.console}
    web.post(f"{freehold.console}/accounts/logout/", data={"csrfmiddlewaretoken": form or token}, headers=headers)
    until(lambda: web.get(url, follow_redirects=False).status_code != 200, 5, "the app session refused")


def test_an_unknown_host_is_404(freehold: Stack) -> None:
    answer = raw.send(freehold.port, raw.get("/", f"localhost-nobody-aaaaaaaa.apps.localhost:{freehold.port}"))
    assert answer.startswith(b"HTTP/1.1 404")


def test_a_strangers_ids_are_404_in_the_api(recorder: Recorder) -> None:
    mine, theirs = recorder.instance["id"], recorder.stranger.api
    for method, path in (
        ("GET", f"instances/{mine}/"),
        ("DELETE", f"instances/{mine}/"),
        ("PATCH", f"instances/{mine}/"),
        ("POST", f"instances/{mine}/restart/"),
        ("GET", f"instances/{mine}/logs/"),
        ("GET", f"projects/{recorder.instance['app']}/"),
    ):
        assert theirs.request(method, path).status_code == 404, f"{method} {path}"
    assert recorder.owner.instance(mine)["state"] == "running"
