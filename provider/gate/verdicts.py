"""Who may enter, and where to: the provider's side of the gate's five steps (docs/architecture.md)."""

import hmac
import re
import time
from dataclasses import dataclass, replace

from django.conf import settings
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from apps_catalog.public_routes import canonical_path, matches_public
from provider.gate import pages, signin, waking
from provider.gate.appsession import AppSession, cookie_name, parse_keys, verify
from provider.gate.asking import ASSETS, CALLBACK, Answer, Ask, say, set_cookie, sha256
from provider.gate.feed import upstream_of
from provider.gate.routing import split
from provider.gate.warm import WARM
from tenants.data_secrets import calls_key
from tenants.errors import Conflict, QuotaExceeded
from tenants.models import AppKey, Drain, Instance, InstanceMicro, RevokedSession
from tenants.states import DARK, InstanceState

_OPEN = (InstanceState.RUNNING, InstanceState.UPDATING)
_FILES = (*_OPEN, InstanceState.ASLEEP, InstanceState.WAKING)  # served without any process
# Marks a browser whose doubled cookies were cleared a moment ago: a second time in a row is not answered by a redirect.
TIDIED = "freehold_tidy"
TIDIED_S = 60


@dataclass(frozen=True)
class Route:
    """micro: None where no micro answers. path: what it will see, as it was spelt."""

    micro: InstanceMicro | None
    path: str


def decide(ask: Ask) -> Answer:
    """What to do with a request. Changes nothing but a sign-in code that is used up, and wakes what whoever asks may enter.

    Falling asleep relies on it: whoever is let through while a drain is there ends the drain, so no answer of this kind
    may come out of a cache (tenants/services/sleeping.py). What warm.py remembers leads nowhere but where the proxy's own
    map does, as for the signed-in.
    """
    epoch = WARM.epoch
    instance = (
        Instance.objects.select_related("cloud__owner")
        .prefetch_related("micros")
        .annotate(is_draining=Exists(Drain.objects.filter(subject=OuterRef("pk"))))
        .filter(host=ask.host)
        .exclude(state=InstanceState.REMOVED)
        .exclude(cloud__state__in=DARK)
        .first()
    )
    if instance is None:
        return say(ask, 404, "Not found", pages.FIXED["unknown"])
    WARM.learn(epoch, ask.host, instance.id, {m.mount: tuple(m.public_routes) for m in instance.micros.all()})
    if ask.path == CALLBACK:
        return signin.finish(ask, instance)
    if len(ask.cookies(cookie_name(ask.scheme))) > 1:
        return _tidy(ask)
    session, route = _session(ask, instance), _route(ask, instance)
    if ask.path.startswith(ASSETS) and session is not None:
        return Answer(204, (("x-gate-upstream", "assets"),))  # the proxy knows where to
    own = _is_own_key(ask, instance)
    if session is None and not _is_public(route) and not own and not _is_keyed(ask, instance, route):
        return refuse(ask)
    answer = _reach(ask, instance, route, session)
    goes_on = answer.status == 204 or answer.hold_ms
    return answer.also(("x-gate-own-key", "1")) if own and goes_on else answer


def _session(ask: Ask, instance: Instance) -> AppSession | None:
    cookies = ask.cookies(cookie_name(ask.scheme))
    if not cookies or not ask.own:
        return None
    keys = parse_keys(settings.SESSION_KEYS)
    session = verify(cookies[0], keys, host=ask.host, instance_id=instance.id, now=time.time())
    if session is None or RevokedSession.objects.filter(sid=session.sid).exists():
        return None
    role = signin.role_of(session.sub, instance)
    return replace(session, role=role) if role else None


def _is_own_key(ask: Ask, instance: Instance) -> bool:
    """One of the instance's own micros asks."""
    if not ask.own_key:
        return False
    own = calls_key(settings.DATA_KEY, instance.cloud_id, instance.id, instance.calls_version)
    return hmac.compare_digest(ask.own_key, sha256(own))


def _is_keyed(ask: Ask, instance: Instance, route: Route) -> bool:
    """A program shows a key that its owner made for this micro."""
    if not ask.app_key or route.micro is None or not route.micro.takes_keys:
        return False
    ends = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
    rows = AppKey.objects.filter(ends, instance=instance, micro__in=("", route.micro.name), sha256=ask.app_key)
    return bool(rows.exists())


def _route(ask: Ask, instance: Instance) -> Route:
    """By the first path segment as it was spelt, stripped; else the primary. The proxy does the same by its maps."""
    micros = {micro.mount: micro for micro in instance.micros.all()}
    mount, path = split(ask.path, micros)
    return Route(None if mount is None else micros.get(mount), path)


def _is_public(route: Route) -> bool:
    """Only for the one canonical spelling of the path that the micro will see."""
    if route.micro is None:
        return False
    path = canonical_path(route.path)
    return path is not None and matches_public(route.micro.public_routes, path)


def refuse(ask: Ask) -> Answer:
    if ask.may_sign_in:
        return signin.begin(ask)
    return say(ask, 401, "Unauthorized", pages.page("Sign in first", "Open this app by itself to sign in."))


def _tidy(ask: Ask) -> Answer:
    """Two session cookies: one may be planted by a sibling app. Clear both wherever they hang, then one clean sign-in."""
    clearing = tuple(_clearing(ask))
    if not ask.may_sign_in:
        return say(ask, 401, "Unauthorized", pages.page("Sign in again", "Open this app by itself.")).also(*clearing)
    if ask.cookies(TIDIED):
        page = pages.page(
            "This browser keeps two sign-ins for this app",
            "Another site may have planted one of them. Both were cleared, together with this app's other cookies.",
            "If this page comes back, remove the cookies of this address in your browser's settings.",
            link=("/", "Open the app"),
        )
        return say(ask, 400, "Two session cookies", page).also(*clearing, ("clear-site-data", '"cookies"'))
    return signin.begin(ask).also(*clearing, set_cookie(ask, TIDIED, "1", TIDIED_S))


def _clearing(ask: Ask) -> list[tuple[str, str]]:
    """A cookie is known by name, domain and path: end it in every place from which this request can have got it."""
    labels = ask.host.split(".")
    domains = ["", *(f"; Domain={'.'.join(labels[n:])}" for n in range(len(labels) - 1))]
    segments = ask.path.split("/")[1:8]
    prefixes = ["/".join(["", *segments[:n]]) for n in range(1, len(segments) + 1)]
    paths = list(dict.fromkeys(["/", *prefixes, *(f"{prefix}/" for prefix in prefixes if prefix != "/")]))
    secure = "; Secure" if ask.scheme == "https" else ""
    name = cookie_name(ask.scheme)
    return [
        ("set-cookie", f"{name}=; Path={path}; Max-Age=0{domain}{secure}")
        for path in paths
        if re.fullmatch(r"[!-:<-~]*", path)
        for domain in domains
    ]


def _reach(ask: Ask, instance: Instance, route: Route, session: AppSession | None) -> Answer:
    micro, is_owner = route.micro, session is not None and session.role == signin.OWNER
    if micro is None:
        return say(ask, 404, "Not found", pages.FIXED["unknown"])
    if micro.serve and instance.state in _FILES:
        return Answer(204, (("x-gate-upstream", upstream_of("", micro.serve)), *_as_whom(micro, session)))
    try:
        state = waking.awake(instance)
    except (QuotaExceeded, Conflict) as refusal:
        return waking.refused(ask, instance, refusal, is_owner=is_owner).also(*_as_whom(micro, session))
    if state != instance.state or getattr(instance, "is_draining", False):
        micro.refresh_from_db(fields=["upstream"])  # as it is after the waking, or after it was kept awake
    where = upstream_of(micro.upstream, micro.serve)
    if state in _OPEN and where:
        return Answer(204, (("x-gate-upstream", where), *_as_whom(micro, session)))
    answer = waking.not_open(ask, instance, state, known=session is not None, is_owner=is_owner)
    return answer.also(*_as_whom(micro, session)) if answer.hold_ms else answer


def _as_whom(micro: InstanceMicro, session: AppSession | None) -> list[tuple[str, str]]:
    """What the proxy must know of a request that goes on, or is held until it can."""
    headers = [("x-gate-mount", micro.mount)] if micro.mount else []
    if session:
        headers += [("x-gate-user", session.sub), ("x-gate-email", session.email), ("x-gate-role", session.role)]
    return headers
