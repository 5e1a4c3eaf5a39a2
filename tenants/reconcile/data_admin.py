"""The provider's way into a data server: its inner interface, over plain HTTP inside the cluster."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from django.conf import settings

from k8s.errors import Permanent, Temporary
from tenants.data_secrets import ADMIN_PATH, cloud_secrets

TIMEOUT_S = 10.0
Document = dict[str, Any]


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
    """The answer's document. Raises Permanent with the server's own words where it refuses."""
    answer = client.request(method, path, json=body)
    if answer.status_code >= 500:
        raise Temporary(f"the data server answered {answer.status_code} to {method} {path}", retry_after_s=2)
    if not answer.is_success:
        raise Permanent(f"the data server refused {method} {path}: {answer.text[:300]}")
    found: Document = answer.json()
    return found
