"""People who use a running Freehold: through its API, its pages and their apps' own addresses."""

import io
import re
import secrets
import zipfile
from collections.abc import Mapping
from typing import Any

import httpx

from tests.journey.stack import Stack, client, until

Document = dict[str, Any]


class Person:
    """Signed up and with an active cloud; `api` carries their token, `web` their console session and app cookies."""

    def __init__(self, stack: Stack, name: str) -> None:
        tag = secrets.token_hex(4)
        self.stack = stack
        self.email, self.handle = f"{name}{tag}@example.org", f"{name}{tag}"
        self.password = f"Corr3ct-horse-{tag}"
        self.api = client(base_url=f"{stack.console}/api/v1/")
        account = {"email": self.email, "password": self.password, "handle": self.handle}
        self.account = self.call("POST", "accounts/", json=account)
        self.token: str = self.call("POST", "tokens/", json={**credentials(self), "name": "tests", "scopes": ["*"]})[
            "token"
        ]
        self.api.headers["Authorization"] = f"Bearer {self.token}"
        until(lambda: self.call("GET", "cloud/")["state"] == "active", 60, "an active cloud")
        self._web: httpx.Client | None = None

    def call(self, method: str, path: str, **request: Any) -> Document:
        """The API's answer. Raises AssertionError for anything but success."""
        answer = self.api.request(method, path, **request)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        return answer.json() if answer.content else {}

    @property
    def web(self) -> httpx.Client:
        """A cookie-keeping client that signed in through the console's form."""
        if self._web is None:
            self._web = client(follow_redirects=True)
            sign_in(self._web, self.stack.console, self.email, self.password)
        return self._web

    def install(self, app: str, **body: Any) -> Document:
        return self.call("POST", "instances/", json={"app": app, **body})

    def instance(self, instance_id: str) -> Document:
        return self.call("GET", f"instances/{instance_id}/")

    def settled(self, instance_id: str, limit_s: float = 120) -> Document:
        """The instance once its newest state is one that lasts."""
        lasting = ("running", "asleep", "failed", "removed", "stopped")

        def look() -> Document | None:
            instance = self.instance(instance_id)
            return instance if instance["state"] in lasting else None

        return until(look, limit_s, f"{instance_id} in a state that lasts")

    def running(self, app: str, **body: Any) -> Document:
        """Install and wait until it runs. Raises AssertionError with the reason if it does not."""
        instance = self.settled(self.install(app, **body)["id"])
        assert instance["state"] == "running", instance["state_reason"]
        return instance

    def finished(self, operation_id: str, limit_s: float = 120) -> Document:
        def look() -> Document | None:
            operation = self.call("GET", f"operations/{operation_id}/")
            return operation if operation["state"] in ("succeeded", "failed", "cancelled") else None

        return until(look, limit_s, f"operation {operation_id} over")

    def remove(self, instance_id: str) -> Document:
        return self.finished(self.call("DELETE", f"instances/{instance_id}/")["id"])

    def upload(self, slug: str, bundle: bytes, **fields: str) -> httpx.Response:
        files = {"bundle": ("bundle.zip", bundle, "application/zip")}
        return self.api.post(f"projects/{slug}/revisions/", files=files, data=fields, timeout=120)

    def build(self, slug: str, files: Mapping[str, str | bytes], limit_s: float = 300, **fields: str) -> Document:
        """Upload and wait until the revision is ready or failed. It is not run in this person's own copy.

        fields: what else is said of the upload.
        """
        answer = self.upload(slug, zipped(files), install="false", **fields)
        assert answer.status_code == 202, answer.text

        def look() -> Document | None:
            revision = self.call("GET", f"projects/{slug}/revisions/{answer.json()['id']}/")
            return revision if revision["state"] in ("ready", "failed") else None

        return until(look, limit_s, "a finished build")

    def publish(self, name: str, files: Mapping[str, str | bytes], *, listed: bool = False, **fields: str) -> str:
        """A new project, built and released. Returns its slug."""
        slug = str(self.call("POST", "projects/", json={"name": name})["slug"])
        revision = self.build(slug, files, **fields)
        log = self.api.get(f"projects/{slug}/revisions/{revision['id']}/logs/").text
        assert revision["state"] == "ready", log
        body = {"revision": revision["id"], "version": "1.0.0", "notes": "", "channel": "stable", "listed": listed}
        self.call("POST", f"projects/{slug}/releases/", json=body)
        return slug


def credentials(person: Person) -> Document:
    return {"email": person.email, "password": person.password}


def sign_in(web: httpx.Client, console: str, email: str, password: str) -> None:
    address = f"{console}/accounts/login/"
    form = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', web.get(address).text)
    assert form, "the sign-in page has a form"
    data = {"login": email, "password": password, "csrfmiddlewaretoken": form.group(1)}
    answer = web.post(address, data=data, headers={"Referer": address, "Origin": console})
    assert "/accounts/login" not in str(answer.url), f"signed in as {email}"


def zipped(files: Mapping[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()
