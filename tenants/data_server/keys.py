"""Data keys, derived keys, and the gate's short tokens. Pure: the provider and the gate make what the data server checks.

A data key is `<project id>_<secret>`, with exactly one underscore, because clients split it there.
"""

import base64
import hashlib
import hmac
import re
import secrets
import string
from dataclasses import dataclass

PROJECT_ID = re.compile(r"[a-z0-9]{6,40}")
TOKEN_S = 60  # the longest life of a gate's token
READ, WRITE = "r", "w"
_LETTERS = string.ascii_lowercase + string.digits
_ID_LENGTH, _SECRET_LENGTH = 12, 32
_TOKEN = re.compile(r"v1\.([a-z0-9]{6,40})\.([A-Za-z0-9_-]{1,64})\.([rw])\.([0-9]{1,12})")


@dataclass(frozen=True)
class Grant:
    """What a token allows: one collection, for an instance's browser code. writes: also what changes something."""

    project_id: str
    instance_id: str
    writes: bool


def new_project_id() -> str:
    return _random(_ID_LENGTH)


def new_key(project_id: str) -> str:
    """To be shown once; only its `fingerprint` is kept."""
    return f"{project_id}_{_random(_SECRET_LENGTH)}"


def derived_key(master: bytes, project_id: str, instance_id: str, version: int) -> str:
    """What an instance's micros get. Made again whenever it is needed; a new version ends the old one."""
    message = f"data key|{project_id}|{instance_id}|{version}".encode()
    digest = hmac.digest(master, message, "sha256")
    return f"{project_id}_{base64.b32encode(digest[:20]).decode().lower()}"


def fingerprint(key: str) -> str:
    """SHA-256 in hex: what is stored of a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def gate_token(gate_key: bytes, project_id: str, instance_id: str, method_class: str, expires: int) -> str:
    """`v1.<project>.<instance>.<r or w>.<Unix seconds>.<hex of HMAC-SHA256 of all before the last dot>`.

    A proxy can make it with its `hmac` converter. expires: at most TOKEN_S from now.
    """
    body = f"v1.{project_id}.{instance_id}.{method_class}.{expires}"
    return f"{body}.{hmac.digest(gate_key, body.encode(), 'sha256').hex()}"


def check_gate_token(gate_key: bytes, token: str, now: float) -> Grant | None:
    """None for anything but a token of that key that lives now and not for too long."""
    body, _, signature = token.rpartition(".")
    found = _TOKEN.fullmatch(body)
    expected = hmac.digest(gate_key, body.encode("utf-8", "surrogatepass"), "sha256").hex()
    if found is None or not hmac.compare_digest(expected.encode(), signature.lower().encode("utf-8", "surrogatepass")):
        return None
    project_id, instance_id, method_class, expires = found.groups()
    if not now < int(expires) <= now + TOKEN_S + 1:
        return None
    return Grant(project_id, instance_id, method_class == WRITE)


def _random(length: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(length))
