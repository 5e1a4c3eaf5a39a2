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
    # An app session that was signed in this very moment ends a little later than one that was signed before.
    until = timezone.now() + timedelta(seconds=settings.SESSION_COOKIE_AGE) + timedelta(hours=1)
    RevokedSession.objects.update_or_create(sid=sid, defaults={"until": until})
    feed.revoked(sid)


@transaction.atomic
def end_all(user: User) -> None:
    """Every session of theirs, here and in every app they entered from one. Repeating is safe."""
    # The row first: whoever enters an app meanwhile is either seen below or sees the new epoch.
    User.objects.filter(pk=user.pk).update(session_epoch=F("session_epoch") + 1)
    _end_apps(user)


@transaction.atomic
def end_app_sessions(user: User) -> None:
    """In every app they entered, from whichever console session. Repeating is safe."""
    User.objects.select_for_update(no_key=True).get(pk=user.pk)
    _end_apps(user)


def _end_apps(user: User) -> None:
    for sid in AppSignIn.objects.filter(user=user).values_list("sid", flat=True):
        _end(sid)


@transaction.atomic
def entered_app(user: User, sid: str) -> bool:
    """Remember that app sessions come from this console session of `user`, as the request was given them.

    False: since then their password changed or all their sessions were ended, so nothing may come from it any more.
    """
    now = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    if (now.password, now.session_epoch) != (user.password, user.session_epoch):
        return False
    until = timezone.now() + timedelta(seconds=settings.SESSION_COOKIE_AGE)
    AppSignIn.objects.update_or_create(sid=sid, defaults={"user": user, "until": until})
    return True


def console_session_ends(request: HttpRequest, **_signal: object) -> None:
    """Receiver of user_logged_out."""
    if key := request.session.session_key:
        end_session(key)


def password_changes(user: User, **_signal: object) -> None:
    """Receiver of allauth's signals about passwords. Other console sessions end by themselves: they were signed with the
    old password. This one goes on under a new name, and enters apps again without a question."""
    end_app_sessions(user)
