"""Sessions of one person at one instance: a signed cookie (JWT, HS256) that the proxy checks by itself.

The proxy reads the same fields in instances.cfg.template; change both or neither. Imports no Django.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

LIFETIME_S = 30 * 24 * 3600
NAME = "freehold_app"


@dataclass(frozen=True)
class AppSession:
    """host and ins: where it counts, both must match (a host may move to another instance). sub: the person's id.

    sid: names the console session it came from. iat, exp: epoch seconds. role: owner or guest.
    """

    host: str
    ins: str
    sub: str
    sid: str
    iat: int
    exp: int
    email: str
    role: str


def parse_keys(pairs: Sequence[str]) -> dict[str, str]:
    """["kid:secret", …] in order: the first signs, all verify. Raises ValueError for an entry without a colon."""
    keys = {}
    for pair in pairs:
        kid, colon, secret = pair.partition(":")
        if not (kid and colon and secret) or set(pair) & set(" \t\r\n"):
            raise ValueError("FREEHOLD_SESSION_KEYS must be kid:secret,kid:secret without blanks")
        keys[kid] = secret
    return keys


def cookie_name(scheme: str) -> str:
    """Browsers refuse `__Host-` without TLS; over https it cannot be planted by a sibling host."""
    return prefixed(NAME, scheme)


def prefixed(name: str, scheme: str) -> str:
    return f"__Host-{name}" if scheme == "https" else name


def sign(session: AppSession, keys: Mapping[str, str]) -> str:
    kid, secret = next(iter(keys.items()))
    signed = f"{_encode({'alg': 'HS256', 'typ': 'JWT', 'kid': kid})}.{_encode(asdict(session))}"
    return f"{signed}.{_signature(signed, secret)}"


def verify(token: str, keys: Mapping[str, str], *, host: str, instance_id: str, now: float) -> AppSession | None:
    """The session if it is ours, for this host and this instance, and not over; revocation is the caller's to check."""
    try:
        signed, _, signature = token.rpartition(".")
        header, payload = (_decode(part) for part in signed.split("."))
        secret = keys[header["kid"]]
        if header["alg"] != "HS256" or not hmac.compare_digest(_signature(signed, secret), signature):
            return None
        session = AppSession(**payload)
    except (ValueError, KeyError, TypeError):
        return None
    if session.host != host or session.ins != instance_id or session.exp <= now or not (session.sid and session.sub):
        return None
    return session


def _encode(part: Mapping[str, object]) -> str:
    # Not \u-escaped: the proxy's JSON reader does not know those.
    text = json.dumps(part, separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _decode(part: str) -> dict[str, Any]:
    try:
        found = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (binascii.Error, UnicodeError) as error:
        raise ValueError("not base64url") from error
    if not isinstance(found, dict):
        raise TypeError("not an object")
    return found


def _signature(signed: str, secret: str) -> str:
    digest = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
