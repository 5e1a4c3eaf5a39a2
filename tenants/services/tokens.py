"""Tokens for programs: `fh_<prefix>_<secret>`, of which only the SHA-256 of the secret is kept."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from apps_catalog.identifiers import random_letters
from tenants.errors import Refused
from tenants.models import ApiToken, User

# What a token may do. "*" is everything but the operator's; "read" every GET; the others changes of one kind.
SCOPES = ("*", "read", "cloud", "instances", "projects", "collections", "tokens")
OPERATOR_SCOPES = ("operator:*", "operator:read")
MAX_TOKENS = 100
_USED_EVERY = timedelta(minutes=1)


def issue_token(
    user: User, name: str, scopes: Sequence[str], expires_at: datetime | None = None
) -> tuple[ApiToken, str]:
    """A new token and its plaintext, which nobody can show again. Raises Refused naming the field."""
    _check(user, name, scopes, expires_at)
    prefix, secret = random_letters(10), secrets.token_urlsafe(32)
    token = ApiToken.objects.create(
        user=user,
        name=name.strip(),
        prefix=prefix,
        secret_sha256=_sha256(secret),
        scopes=sorted(set(scopes)),
        expires_at=expires_at,
    )
    return token, f"fh_{prefix}_{secret}"


def authenticate(plaintext: str) -> ApiToken | None:
    """The token, with its user, if it is one, is in force, and its user may act. One query, and a write a minute."""
    kind, _, rest = plaintext.partition("_")
    prefix, _, secret = rest.partition("_")
    if kind != "fh" or not prefix or not secret or "\x00" in plaintext:
        return None
    token = ApiToken.objects.select_related("user").filter(prefix=prefix).first()
    if token is None or not hmac.compare_digest(token.secret_sha256, _sha256(secret)):
        return None
    now = timezone.now()
    if not token.user.is_active or (token.expires_at is not None and token.expires_at <= now):
        return None
    if token.last_used_at is None or token.last_used_at < now - _USED_EVERY:
        old = Q(last_used_at=None) | Q(last_used_at__lt=now - _USED_EVERY)
        ApiToken.objects.filter(old, pk=token.pk).update(last_used_at=now)
    return token


def revoke_token(user: User, token_id: str) -> bool:
    """End it at once. False when there is none such; repeating is safe."""
    return ApiToken.objects.filter(user=user, pk=token_id).delete()[0] > 0


def allows(token: ApiToken, area: str, *, writes: bool) -> bool:
    """Whether the token's scopes cover a request to `area` ("instances", "operator:…"); "*" never means operators'."""
    scopes = set(token.scopes)
    if area.startswith("operator:"):
        return bool(token.user.is_staff and scopes & {"operator:*", *(() if writes else ("operator:read",))})
    return bool(scopes & ({"*", area} if writes else {"*", "read", area}))


def _check(user: User, name: str, scopes: Sequence[str], expires_at: datetime | None) -> None:
    if not 1 <= len(name.strip()) <= 60 or not name.isprintable():
        raise Refused("invalid_name", "Give the token a name of 1 to 60 characters.", field="name")
    known = (*SCOPES, *OPERATOR_SCOPES) if user.is_staff else SCOPES
    unknown = [scope for scope in scopes if scope not in known]
    if unknown or not scopes:
        raise Refused("invalid_scopes", f"Scopes are some of: {', '.join(known)}.", field="scopes")
    if expires_at is not None and expires_at <= timezone.now():
        raise Refused("invalid_expiry", "The token would have expired already.", field="expires_at")
    if ApiToken.objects.filter(user=user).count() >= MAX_TOKENS:
        raise Refused("too_many_tokens", f"There may be {MAX_TOKENS} tokens; revoke one first.", field="name")


def _sha256(secret: str) -> str:
    # 256 random bits need no slow hash.
    return hashlib.sha256(secret.encode()).hexdigest()
