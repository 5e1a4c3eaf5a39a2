"""Console sessions, as the gate knows them: ending one ends every app session that came from it."""

import hashlib
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from tenants import feed
from tenants.models import RevokedSession


def sid_of(session_key: str) -> str:
    """What app sessions name of the console session; the key itself never leaves the console."""
    return hashlib.sha256(f"sid:{session_key}".encode()).hexdigest()[:32]


@transaction.atomic
def end_session(session_key: str) -> None:
    """App sessions that came from it stop counting. Repeating is safe."""
    sid = sid_of(session_key)
    until = timezone.now() + timedelta(seconds=settings.SESSION_COOKIE_AGE)
    RevokedSession.objects.update_or_create(sid=sid, defaults={"until": until})
    feed.revoked(sid)


def console_session_ends(request: HttpRequest, **_signal: object) -> None:
    """Receiver of user_logged_out."""
    if key := request.session.session_key:
        end_session(key)
