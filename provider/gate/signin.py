"""Signing in to an instance: from its host to the console and back, by redirects alone.

1. begin: the app's host gives the browser a nonce and sends it to the console with the nonce's hash.
2. enter: the console, if the person is signed in there and may enter the instance, writes a single-use code bound to
   instance, host, nonce hash and console session, and sends the browser back with it.
3. finish: the app's host takes code and nonce and answers with the session cookie, then the page that was asked for.

Nobody is signed in by somebody else's link: a code is worth nothing without the nonce in the same browser.
"""

import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import parse_qs, urlencode

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.views.decorators.http import require_safe

from provider.gate import pages
from provider.gate.appsession import LIFETIME_S, AppSession, cookie_name, parse_keys, prefixed, sign
from provider.gate.asking import CALLBACK, Answer, Ask, redirect, say, set_cookie, sha256
from tenants.models import Instance, RevokedSession, Share, SignInCode, User
from tenants.services.sessions import entered_app, sid_of
from tenants.services.sharing import is_invited
from tenants.states import DARK, InstanceState, ShareState

OWNER, GUEST = "owner", "guest"
CODE_S = 60
NONCE_S = 1800  # long enough to sign in, or up, on the console
# A browser that is signed in so often within a minute does not keep the session: it is told so instead of going round.
_TRIES, TRIES, TRIES_S = "freehold_tries", 3, 60
PATH_LIMIT = 2048
# A path with query as browsers send it: no blanks, no control characters, no backslash.
_PATH = re.compile(r"/[!-\[\]-~]*")


def begin(ask: Ask) -> Answer:
    """To the console on the same scheme and port that the visitor used. Each attempt has a nonce cookie of its own, so
    that several tabs may sign in at once."""
    tries = prefixed(_TRIES, ask.scheme)
    if ask.cookies(tries)[:1] == [str(TRIES)]:
        return say(ask, 400, "Signed in again and again", pages.FORGETFUL).also(set_cookie(ask, tries, "", 0))
    nonce = secrets.token_urlsafe(32)
    asked = ask.path + (f"?{ask.query}" if ask.query else "")
    query = urlencode({"host": ask.host, "next": _local(asked), "nonce": sha256(nonce)})
    answer = redirect(f"{ask.scheme}://{settings.CONSOLE_HOST}{ask.port}/gate/enter?{query}")
    return answer.also(set_cookie(ask, _nonce_cookie(ask, sha256(nonce)), nonce, NONCE_S))


def _nonce_cookie(ask: Ask, nonce_sha256: str) -> str:
    return prefixed(f"freehold_nonce_{nonce_sha256[:8]}", ask.scheme)


def _local(path: str) -> str:
    """The path if it may be returned to, else the front page."""
    if len(path) > PATH_LIMIT or not _PATH.fullmatch(path) or path.startswith("/__space/"):
        return "/"
    return path


@require_safe
@login_required
def enter(request: HttpRequest) -> HttpResponse:
    """GET /gate/enter?host=&next=&nonce= on the console → 302 to the host's callback with a code; 403 to strangers."""
    host, nonce = request.GET.get("host", ""), request.GET.get("nonce", "")
    assert isinstance(request.user, User)
    rows = Instance.objects.select_related("cloud__owner").filter(host=host)
    found = rows.exclude(state=InstanceState.REMOVED).exclude(cloud__state__in=DARK).first()
    if found is None or not role_of(request.user.pk, found):
        return _forbidden(request.user, found)
    if not re.fullmatch(r"[0-9a-f]{64}", nonce) or not request.session.session_key:
        return _page(400, pages.page("This link is incomplete", "Open the app again.", link=("/", "To your console")))
    if not entered_app(request.user, sid_of(request.session.session_key)):
        return _private(HttpResponseRedirect(request.get_full_path()))  # the session ended: this leads to the sign-in
    code = _new_code(request, found, nonce)
    port = request.get_host().partition(":")[2]
    origin = f"{request.scheme}://{host}{':' + port if port else ''}"
    return _private(HttpResponseRedirect(f"{origin}{CALLBACK}?{urlencode({'code': code})}"))


def role_of(user_id: str, instance: Instance) -> str:
    """What this person is to the instance (with its cloud's owner): "owner", "guest" once they accepted, "" for nobody."""
    owner = instance.cloud.owner
    if user_id == owner.pk:
        return OWNER if owner.is_active else ""
    accepted = Share.objects.filter(instance=instance, user_id=user_id, state=ShareState.ACCEPTED, user__is_active=True)
    return GUEST if accepted.exists() else ""


def _new_code(request: HttpRequest, instance: Instance, nonce_sha256: str) -> str:
    """A code's row. Those that ran out go at the same time, so that none pile up."""
    assert isinstance(request.user, User) and request.session.session_key
    SignInCode.objects.filter(expires_at__lt=timezone.now()).delete()
    code = secrets.token_urlsafe(32)
    SignInCode.objects.create(
        code_sha256=sha256(code),
        user=request.user,
        instance=instance,
        host=instance.host,
        nonce_sha256=nonce_sha256,
        sid=sid_of(request.session.session_key),
        next_path=_local(request.GET.get("next", "/")),
        expires_at=timezone.now() + timedelta(seconds=CODE_S),
    )
    return code


def _forbidden(user: User, instance: Instance | None) -> HttpResponse:
    """To somebody who is invited: what to do. To anybody else the same, whether or not there is such a place."""
    if instance is not None and is_invited(user, instance):
        words = "Its owner invites you to it. Accept the invitation in your console, then open the app again."
        return _page(403, pages.page("You are invited to this app", words, link=("/shared/", "To the invitation")))
    return _page(
        403,
        pages.page(
            "This app is not yours",
            "Nothing at that address belongs to the account you are signed in with, or was shared with it.",
            "If it is in another account of yours, sign out here and open it again.",
            link=("/", "To your console"),
        ),
    )


def _page(status: int, body: str) -> HttpResponse:
    return _private(HttpResponse(body, status=status, headers={"Content-Security-Policy": pages.POLICY}))


def _private(response: HttpResponse) -> HttpResponse:
    response["Cache-Control"], response["Referrer-Policy"] = "no-store", "no-referrer"
    return response


@dataclass(frozen=True)
class _Ticket:
    """What a used code says. The fields are those of SignInCode."""

    user_id: str
    instance_id: str
    host: str
    nonce_sha256: str
    sid: str
    next_path: str


def finish(ask: Ask, instance: Instance) -> Answer:
    """The session cookie for whoever brings a code and its nonce; any other attempt uses the code up."""
    if ask.method != "GET":
        return say(ask, 405, "Method not allowed", pages.page("Open this address in a browser"))
    ticket = _take(parse_qs(ask.query).get("code", [""])[0])
    if "freehold_nonce_" not in ask.cookie:
        return say(ask, 400, "No cookies", pages.COOKIELESS)
    person = _fitting(ask, instance, ticket) if ticket else None
    if ticket is None or person is None:
        page = pages.page(
            "This sign-in did not work out",
            "It was used already, has run out, or was begun in another browser.",
            link=("/", "Open the app again"),
        )
        return say(ask, 400, "Sign-in expired", page)
    now, role = int(time.time()), role_of(person.pk, instance)
    session = AppSession(ask.host, instance.id, person.pk, ticket.sid, now, now + LIFETIME_S, person.email, role)
    cookie = sign(session, parse_keys(settings.SESSION_KEYS))
    tries = prefixed(_TRIES, ask.scheme)
    before = ask.cookies(tries)[:1]
    number = int(before[0]) + 1 if before and before[0] in ("1", "2") else 1
    return redirect(f"{ask.scheme}://{ask.authority}{ticket.next_path}").also(
        set_cookie(ask, cookie_name(ask.scheme), cookie, LIFETIME_S),
        set_cookie(ask, _nonce_cookie(ask, ticket.nonce_sha256), "", 0),
        set_cookie(ask, tries, str(number), TRIES_S),
    )


def _take(code: str) -> _Ticket | None:
    """Read and delete in one statement: of two that bring the same code, one gets nothing."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM tenants_signincode WHERE code_sha256 = %s AND expires_at > now()"
            " RETURNING user_id, instance_id, host, nonce_sha256, sid, next_path",
            [sha256(code)],
        )
        row: Sequence[str] | None = cursor.fetchone()
    return _Ticket(*row) if row else None


def _fitting(ask: Ask, instance: Instance, ticket: _Ticket) -> User | None:
    """Who the code is for, if it is for this place and this browser, and they may still enter."""
    nonces = ask.cookies(_nonce_cookie(ask, ticket.nonce_sha256))
    fits = (
        ticket.instance_id == instance.id
        and ticket.host == ask.host
        and any(sha256(nonce) == ticket.nonce_sha256 for nonce in nonces)
        and role_of(ticket.user_id, instance)
        and not RevokedSession.objects.filter(sid=ticket.sid).exists()
    )
    return User.objects.get(pk=ticket.user_id) if fits else None
