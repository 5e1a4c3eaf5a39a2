"""The provider's way into a data server: its inner interface, over plain HTTP inside the cluster."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import httpx
from django.conf import settings

from k8s.errors import Permanent, Temporary
from tenants.data_secrets import ADMIN_PATH, cloud_secrets

TIMEOUT_S = 10.0
FULL = 507
Document = dict[str, Any]


class Refusal(Permanent):
    """status: as in HTTP. why: the server's own words for whoever asked."""

    def __init__(self, asked: str, status: int, why: str) -> None:
        super().__init__(f"the data server refused {asked}: {why}")
        self.status, self.why = status, why


def quoted(name: str) -> str:
    """As one segment of a path, dots too: clients take `..` for a step upwards."""
    return quote(name, safe="").replace(".", "%2E")


def way_in(cloud_id: str, upstream: str) -> tuple[str, dict[str, str]]:
    """The address below which its interface lies, and the headers that it wants."""
    token = cloud_secrets(settings.DATA_KEY, cloud_id).admin
    return f"http://{upstream}{ADMIN_PATH}/", {"Authorization": f"Bearer {token}"}


@contextmanager
def connected(cloud_id: str, upstream: str, timeout_s: float = TIMEOUT_S) -> Iterator[httpx.Client]:
    """A client whose paths are those of tenants.data_server.admin_api. Raises Temporary where nothing answers."""
    address, headers = way_in(cloud_id, upstream)
    try:
        # No proxies of the environment: the server is nearer than they are.
        with httpx.Client(base_url=address, headers=headers, timeout=timeout_s, trust_env=False) as client:
            yield client
    except httpx.HTTPError as error:
        raise Temporary(f"the data server does not answer: {error}", retry_after_s=1) from error


def ask(client: httpx.Client, method: str, path: str, body: Document | None = None) -> Document:
    """The answer's document. Raises Refusal with the server's own words."""
    return document_of(client.request(method, path, json=body), f"{method} {path}")


def document_of(answer: httpx.Response, asked: str) -> Document:
    """Raises Refusal for what is the asker's to mend (a full cloud too), Temporary for other errors of the server."""
    if answer.status_code >= 500 and answer.status_code != FULL:
        raise Temporary(f"the data server answered {answer.status_code} to {asked}", retry_after_s=2)
    if not answer.is_success:
        raise Refusal(asked, answer.status_code, _why(answer))
    found: Document = answer.json()
    return found


def _why(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["errors"][-1])
    except (ValueError, LookupError, TypeError):
        return answer.text[:300]
