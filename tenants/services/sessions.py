"""Console sessions, as the gate knows them: ending one ends every app session that came from it."""

import hashlib
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.http import HttpRequest
from django.utils import timezone

from tenants import feed
from tenants.models import AppSignIn, RevokedSession, User


def sid_of(session_key: str) -> str:
    """What app sessions name of the console session; the key itself never leaves the console."""
    return hashlib.sha256(f"sid:{session_key}".encode()).hexdigest()[:32]


@transaction.atomic
def end_session(session_key: str) -> None:
    """App sessions that came from it stop counting. Repeating is safe."""
    _end(sid_of(session_key))


def _end(sid: str) -> None:
    until = timezone.now() + timedelta(seconds=settings.SESSION_COOKIE_AGE)
    RevokedSession.objects.update_or_create(sid=sid, defaults={"until": until})
    feed.revoked(sid)


@transaction.atomic
def end_all(user: User) -> None:
    """Every session of theirs, here and in every app they entered from one. Repeating is safe."""
    for sid in AppSignIn.objects.filter(user=user).values_list("sid", flat=True):
        _end(sid)
    User.objects.filter(pk=user.pk).update(session_epoch=F("session_epoch") + 1)


def entered_app(user: User, sid: str) -> None:
    """Remember that app sessions come from this console session."""
    until = timezone.now() + timedelta(seconds=settings.SESSION_COOKIE_AGE)
    AppSignIn.objects.update_or_create(sid=sid, defaults={"user": user, "until": until})


def console_session_ends(request: HttpRequest, **_signal: object) -> None:
    """Receiver of user_logged_out."""
    if key := request.session.session_key:
        end_session(key)
