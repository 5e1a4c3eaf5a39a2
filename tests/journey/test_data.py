"""Data of one's own: apps keep it with the former platform's clients, unchanged, and nobody else gets at it."""

import contextlib
import json
import os
import shlex
import signal
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser

from tests.journey import data_apps, sleeping
from tests.journey.people import Person
from tests.journey.stack import Stack, client, until

CURL = "curl -sS -w '\\n%{http_code}' -H \"X-API-Key: $DETA_PROJECT_KEY\" -H 'Content-Type: application/json'"
PROJECT = "${DETA_PROJECT_KEY%%_*}"


@dataclass
class Shell:
    """A person's app that runs what it is told, and what it was given."""

    owner: Person
    instance: dict[str, Any]

    def __post_init__(self) -> None:
        self.owner.web.get(self.instance["url"])  # signs in at the app's address
        self.key = self.run("printf %s $DETA_PROJECT_KEY")

    @property
    def origin(self) -> str:
        return str(self.instance["url"]).rstrip("/")

    @property
    def project(self) -> str:
        return self.key.partition("_")[0]

    def run(self, command: str) -> str:
        answer = self.owner.web.post(self.instance["url"], content=command.encode(), headers={"Origin": self.origin})
        assert answer.status_code == 200, answer.text
        return answer.text

    def curl(self, path: str, *more: str, host: str = "$DETA_BASE_HOST") -> tuple[int, Any]:
        """Status and document of a request to this app's collection."""
        words = " ".join(shlex.quote(word) for word in more)
        *body, status = self.run(f'{CURL} {words} "https://{host}/v1/{PROJECT}/{path}"').splitlines()
        return int(status), json.loads("\n".join(body))

    def put(self, base: str, *items: dict[str, Any]) -> None:
        status, answer = self.curl(f"{base}/items", "-X", "PUT", "-d", json.dumps({"items": items}))
        assert (status, answer) == (207, {"processed": {"items": list(items)}})


@pytest.fixture(scope="module")
def shell(freehold: Stack) -> Iterator[Shell]:
    owner = Person(freehold, "data")
    yield Shell(owner, owner.running(owner.publish("shell", data_apps.SHELL)))


def outside(stack: Stack) -> httpx.Client:
    """A program on this machine that trusts the installation's certificate."""
    context = ssl.create_default_context(cafile=str(stack.home / "ca.pem"))
    return httpx.Client(base_url=f"https://localhost:{stack.tls_port}/v1/", verify=context, timeout=30)


def test_curl_in_an_app_stores_and_reads(shell: Shell) -> None:
    shell.put("letters", {"key": "a/b ž", "n": 1})
    assert shell.curl("letters/items/a%2Fb%20%C5%BE") == (200, {"key": "a/b ž", "n": 1})
    assert shell.curl("letters/items/none") == (404, {"key": "none"})
    assert shell.run("printf %s $DETA_DRIVE_HOST") == f"localhost:{shell.owner.stack.tls_port}"


def test_the_former_platforms_hosts_answer_inside_a_sandbox_only(shell: Shell) -> None:
    shell.put("former", {"key": "k", "n": 2})
    for host in ("database.deta.sh", "drive.deta.sh"):
        assert shell.curl("former/items/k", host=host) == (200, {"key": "k", "n": 2})
    pem = (shell.owner.stack.home / "sandbox-ca.pem").read_text()
    assert client().get(f"{shell.owner.stack.console}/ca.pem").text != pem


def test_the_runtimes_deta_module_stores_and_reads(shell: Shell) -> None:
    code = (
        "import json\n"
        "from deta import Deta\n"
        "deta = Deta()\n"
        "base, drive = deta.Base('py'), deta.Drive('files')\n"
        "base.put({'n': 5}, 'p')\n"
        "base.update({'n': base.util.increment(2)}, 'p')\n"
        "drive.put('a/ž.txt', 'hello')\n"
        "print(json.dumps([base.get('p'), base.fetch({'n?gt': 4}).items, drive.get('a/ž.txt').read().decode()]))\n"
    )
    item = {"key": "p", "n": 7}
    assert json.loads(shell.run(f"python3 -c {shlex.quote(code)}")) == [item, [item], "hello"]


def test_npm_deta_in_node_works_unchanged(person: Any) -> None:
    owner: Person = person("node")
    # Some mirrors of the registry tell when they got a package, not when it came out.
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    instance = owner.running(owner.publish("words", data_apps.NODE, as_of=today))
    owner.web.get(instance["url"])
    answer = owner.web.get(instance["url"])
    assert answer.status_code == 200, answer.text
    item = {"key": "greeting", "value": "ahoj", "n": 3}
    assert answer.json() == {"item": item, "found": [item], "file": "z" * 1000, "names": ["a/b c.txt"]}


def test_browser_code_reaches_its_own_apps_data_and_a_stranger_does_not(shell: Shell, chromium: Browser) -> None:
    page = chromium.new_page()
    page.goto(f"{shell.owner.stack.console}/accounts/login/")
    page.fill("input[name=login]", shell.owner.email)
    page.fill("input[name=password]", shell.owner.password)
    page.press("input[name=password]", "Enter")
    page.wait_for_url(f"{shell.owner.stack.console}/")
    page.goto(shell.instance["url"])
    written = page.evaluate(
        """async () => {
          const headers = { 'X-API-Key': 'dummy', 'Content-Type': 'application/json' }
          const at = path => '/__space/v0/base/v1/dummy/browser/' + path
          await fetch(at('items'), { method: 'PUT', headers, body: JSON.stringify({ items: [{ key: 'b', n: 7 }] }) })
          await fetch('/__space/v0/drive/v1/dummy/pictures/files?name=x/y.txt', { method: 'POST', body: 'hello' })
          const file = await fetch('/__space/v0/drive/v1/dummy/pictures/files/download?name=x/y.txt')
          const found = await fetch(at('query'), { method: 'POST', headers, body: JSON.stringify({ query: [] }) })
          return [await found.json(), await file.text()]
        }"""
    )
    page.close()
    assert written == [{"paging": {"size": 1}, "items": [{"key": "b", "n": 7}]}, "hello"]
    assert shell.curl("browser/items/b") == (200, {"key": "b", "n": 7})

    stranger = client().get(f"{shell.origin}/__space/v0/base/v1/dummy/browser/items/b")
    assert (stranger.status_code, stranger.json()) == (401, {"errors": ["Unauthorized"]})
    foreign = {"Origin": "http://localhost-other.apps.localhost"}
    forged = shell.owner.web.get(f"{shell.origin}/__space/v0/base/v1/dummy/browser/items/b", headers=foreign)
    assert forged.status_code == 401


def test_a_token_from_outside_means_nothing(shell: Shell) -> None:
    headers = {"X-Freehold-Data-Token": f"v1.{shell.project}.{shell.instance['id']}.w.9999999999.00"}
    answer = client().get(f"{shell.origin}/__space/v0/base/v1/dummy/browser/items/b", headers=headers)
    assert answer.status_code == 401


def test_keys_of_another_cloud_and_keys_that_are_none_are_refused(shell: Shell, person: Any) -> None:
    shell.put("secret", {"key": "k", "n": 1})
    other: Person = person("thief")
    collection = other.call("POST", "collections/", json={"name": "mine"})
    theirs = other.call("POST", f"collections/{collection['id']}/keys/", json={"name": "k"})
    path = f"{shell.project}/secret/items/k"
    with outside(shell.owner.stack) as program:
        assert program.get(path, headers={"X-API-Key": shell.key}).json() == {"key": "k", "n": 1}
        for key in (theirs["key"], f"{shell.key}x", f"{shell.project}_guess", shell.project, ""):
            answer = program.get(path, headers={"X-API-Key": key})
            assert (answer.status_code, answer.json()) == (401, {"errors": ["Unauthorized"]}), key
        assert program.get(path).status_code == 401
        inner = program.get(f"https://localhost:{shell.owner.stack.tls_port}/__admin/collections")
        assert inner.status_code == 404


def test_a_key_works_at_once_and_is_refused_within_five_seconds_of_its_end(freehold: Stack, person: Any) -> None:
    owner: Person = person("keys")
    collection = owner.call("POST", "collections/", json={"name": "diary"})
    made = owner.call("POST", f"collections/{collection['id']}/keys/", json={"name": "laptop"})
    assert made["key"].startswith(f"{made['project_id']}_")
    path, headers = f"{made['project_id']}/days/items", {"X-API-Key": made["key"]}
    with outside(freehold) as program:
        # The proxy hears of the key within a second; until its data server has too, it holds the request.
        until(lambda: program.get(f"{path}/x", headers=headers).status_code == 404, 5, "the key is known")
        assert program.post(path, headers=headers, json={"item": {"key": "x"}}).status_code == 201
        assert made["key"] not in owner.api.get(f"collections/{collection['id']}/keys/").text
        owner.call("DELETE", f"collections/{collection['id']}/keys/{made['id']}/")
        began = time.monotonic()
        until(lambda: program.get(f"{path}/x", headers=headers).status_code == 401, 5, "refused")
        assert time.monotonic() - began < 5


def test_a_removed_apps_collection_is_kept_and_given_to_the_next(shell: Shell, person: Any) -> None:
    owner: Person = person("again")
    slug = shell.owner.call("GET", f"instances/{shell.instance['id']}/")["app"]
    first = Shell(owner, owner.running(slug))
    first.put("kept", {"key": "k", "n": 1})
    owner.remove(first.instance["id"])
    [kept] = owner.call("GET", "collections/")["results"]
    assert (kept["instance"], kept["project_id"]) == (None, first.project)
    with outside(owner.stack) as program:
        refused = program.get(f"{first.project}/kept/items/k", headers={"X-API-Key": first.key})
        assert refused.status_code == 401, "the removed app's key has ended"
    second = Shell(owner, owner.running(slug, collection=kept["id"]))
    assert second.project == first.project
    assert second.key != first.key
    assert second.curl("kept/items/k") == (200, {"key": "k", "n": 1})


def test_data_survives_the_data_server_and_the_whole_installation(shell: Shell) -> None:
    stack = shell.owner.stack
    shell.put("lasting", {"key": "k", "n": 1})
    servers = stack.running_in_sandboxes("tenants.data_program")
    assert servers
    for server in servers:
        with contextlib.suppress(ProcessLookupError):  # the sandbox's first process takes all others with it
            os.kill(server, signal.SIGKILL)
    until(lambda: shell.curl("lasting/items/k") == (200, {"key": "k", "n": 1}), 30, "data after a crash")
    stack.stop()
    stack.start()
    # Its row says that it runs before it runs again: nobody has looked since the stop.
    until(lambda: shell.owner.web.get(shell.instance["url"]).status_code == 200, 60, "the app answers again")
    until(lambda: shell.curl("lasting/items/k") == (200, {"key": "k", "n": 1}), 30, "data after a restart")


def test_an_app_sleeps_and_its_visitors_wake_it_with_its_data(shell: Shell) -> None:
    shell.curl("dreams/items", "-X", "PUT", "-d", '{"items": [{"key": "k", "n": 1}]}')
    sleeping.put_to_sleep(shell.owner, shell.instance)
    assert sleeping.visit_at_once(shell.owner, shell.instance)[1::2] == ["posted\n"] * 10
    assert shell.curl("dreams/items/k") == (200, {"key": "k", "n": 1})
