"""Sessions of one person at one instance: a signed cookie that the proxy checks by itself at every request.

`kid~exp~host~ins~sid~sub~role~email~iat~mac`: plain fields, since the proxy takes them apart with next to no work (reading
JSON out of a JWT seven times cost it 12 µs a request: docs/decisions/0019). email: Base64url. mac: HMAC-SHA256 of all that
stands before it, Base64url. The proxy reads the same fields in known.cfg.template; change both or neither.
Imports no Django.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LIFETIME_S = 30 * 24 * 3600
NAME = "freehold_app"
_MARK = "~"
_FIELDS = 10
_PLAIN = re.compile(r"[A-Za-z0-9._-]*")


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
        if not (kid and colon and secret) or set(pair) & set(" \t\r\n") or not _PLAIN.fullmatch(kid):
            raise ValueError(
                "FREEHOLD_SESSION_KEYS must be kid:secret,kid:secret without blanks, kid of letters and digits"
            )
        keys[kid] = secret
    return keys


def cookie_name(scheme: str) -> str:
    """Browsers refuse `__Host-` without TLS; over https it cannot be planted by a sibling host."""
    return prefixed(NAME, scheme)


def prefixed(name: str, scheme: str) -> str:
    return f"__Host-{name}" if scheme == "https" else name


def for_proxy(keys: Mapping[str, str]) -> dict[str, str]:
    """As the proxy's converter wants them: Base64."""
    return {kid: base64.b64encode(secret.encode()).decode() for kid, secret in keys.items()}


def sign(session: AppSession, keys: Mapping[str, str]) -> str:
    """Raises ValueError where a field would not stay one field."""
    kid, secret = next(iter(keys.items()))
    email = _base64(session.email.encode())
    fields = (kid, str(session.exp), session.host, session.ins, session.sid, session.sub, session.role, email)
    signed = _MARK.join((*fields, str(session.iat)))
    if not all(_PLAIN.fullmatch(field) for field in fields):
        raise ValueError(f"cannot be part of a session: {fields}")
    return f"{signed}{_MARK}{_mac(signed, secret)}"


def verify(token: str, keys: Mapping[str, str], *, host: str, instance_id: str, now: float) -> AppSession | None:
    """The session if it is ours, for this host and this instance, and not over; revocation is the caller's to check."""
    fields = token.split(_MARK)
    if len(fields) != _FIELDS or fields[0] not in keys:
        return None
    signed, _, mac = token.rpartition(_MARK)
    if not hmac.compare_digest(_mac(signed, keys[fields[0]]).encode(), mac.encode()):
        return None
    _, exp, its_host, ins, sid, sub, role, email, iat, _ = fields
    try:
        session = AppSession(its_host, ins, sub, sid, int(iat), int(exp), _text(email), role)
    except (ValueError, binascii.Error):
        return None
    if session.host != host or session.ins != instance_id or session.exp <= now or not (session.sid and session.sub):
        return None
    return session


def _mac(signed: str, secret: str) -> str:
    return _base64(hmac.digest(secret.encode(), signed.encode(), "sha256"))


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _text(encoded: str) -> str:
    return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
