"""The data of a project's own copy, for the programs that `dev` and `exec` run here: a key, its host, whom to trust."""

import contextlib
import os
import socket
import ssl
import time
from hashlib import sha256
from pathlib import Path

import certifi
import httpx

from provider.cli import config, instances, project
from provider.cli.api import Api, Document
from provider.cli.failures import Failure
from provider.cli.screen import Screen
from provider.cli.session import Session

_KEYS = "data-keys.json"
_TRUSTING = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
_NAME_LIMIT = 60
_KNOWN_S = 10.0


def environment(root: Path, screen: Screen) -> dict[str, str]:
    """DETA_PROJECT_KEY and what belongs to it; empty, with a line that says why, where there is no such data.

    A key of one's own in the shell is left alone, and nothing is asked of the provider then.
    """
    if os.environ.get("DETA_PROJECT_KEY"):
        return {}
    try:
        meta = project.read_meta(root)
        if meta is None:
            raise Failure("this folder is no project yet. Run: freehold push", code="not_linked")
        sign_in = config.sign_in_for(meta.url)
        if sign_in is None:
            raise Failure(f"you are not signed in at {meta.url}. Run: freehold login", code="not_signed_in")
        return _of(Session(Api(meta.url, sign_in.token), screen), meta)
    except Failure as failure:
        screen.note(f"Without data: {failure}")
        return {}


def _of(here: Session, meta: project.Meta) -> dict[str, str]:
    copy = instances.own_copy_of(here, meta)
    collection = _collection(here.api, copy)
    trust, (key, is_new) = _trust(here.api), _key(here.api, collection)
    host = str(collection["data_host"])
    if is_new:
        _wait_until_known(f"https://{host}/v1/{collection['project_id']}/freehold/items/none", key, trust)
    return {"DETA_PROJECT_KEY": key, "DETA_BASE_HOST": host, "DETA_DRIVE_HOST": host, **trust}


def _collection(api: Api, copy: Document) -> Document:
    for row in api.listing("collections/"):
        if row["instance"] == copy["id"]:
            return row
    raise Failure(f"{copy['alias']} has no collection.", code="no_collection")


def _key(api: Api, collection: Document) -> tuple[str, bool]:
    """(key, whether it is new). The one that this machine was given before, unless it was revoked since; else a new one,
    kept for next time."""
    path, name = f"collections/{collection['id']}/keys/", f"{api.url} {collection['id']}"
    kept = config.kept(_KEYS).get(name)
    if kept and any(row["id"] == kept["id"] for row in api.listing(path)):
        return str(kept["key"]), False
    made = api.post(path, {"name": f"freehold on {socket.gethostname()}"[:_NAME_LIMIT]})
    config.keep(_KEYS, config.kept(_KEYS) | {name: {"id": made["id"], "key": made["key"]}})
    return str(made["key"]), True


def _wait_until_known(url: str, key: str, trust: dict[str, str]) -> None:
    """The gate hears of a new key within a second or so. Anything else that is wrong there is for the program to meet."""
    until = time.monotonic() + _KNOWN_S
    with contextlib.suppress(httpx.TransportError, ssl.SSLError):
        verify = ssl.create_default_context(cafile=trust.get("SSL_CERT_FILE"))
        headers = {"X-API-Key": key}
        while httpx.get(url, headers=headers, verify=verify, timeout=_KNOWN_S).status_code == 401:
            if time.monotonic() > until:
                return
            time.sleep(0.2)


def _trust(api: Api) -> dict[str, str]:
    """One file of certificates for all languages: what this machine trusts, and the provider's own authority if it has one.

    That is believed only where nobody in between can have replaced it.
    """
    where = httpx.URL(api.url)
    if where.scheme != "https" and not (where.host == "localhost" or where.host.endswith(".localhost")):
        return {}
    own = api.authority()
    if own is None:
        return {}
    shells = (os.environ.get(name) for name in _TRUSTING)
    usual = next(
        (name for name in (*shells, ssl.get_default_verify_paths().cafile) if name and Path(name).is_file()), None
    )
    bundle = Path(usual or certifi.where()).read_text(encoding="utf-8", errors="replace") + "\n" + own
    file = config.folder() / f"trusted-{sha256(api.url.encode()).hexdigest()[:12]}.pem"
    config.write(file, bundle)
    return dict.fromkeys(_TRUSTING, str(file))
