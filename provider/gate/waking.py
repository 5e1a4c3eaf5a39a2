"""What is told about an instance that does not answer yet, or not any more; and its waking, for whoever may enter."""

import logging
from concurrent.futures import ThreadPoolExecutor

from django.conf import settings
from django.db import close_old_connections

from provider.gate import pages
from provider.gate.asking import Answer, Ask, say
from tenants.errors import Conflict, QuotaExceeded
from tenants.models import Instance
from tenants.reconcile import instances
from tenants.services import waking
from tenants.states import HELD, CloudState, InstanceState

log = logging.getLogger(__name__)

# A page that forwards itself is for a person who looks at a window; a program has nothing to do but wait, and what somebody
# sends must not be lost. All in milliseconds, and less than the proxy waits for a client (timeout client).
PAGE_AFTER_MS, LONGEST_MS, ASK_AGAIN_MS = 2_000, 30_000, 2_000
_risers = ThreadPoolExecutor(max_workers=4, thread_name_prefix="rise")
_COMING = (InstanceState.INSTALLING, InstanceState.WAKING, InstanceState.UPDATING, InstanceState.RUNNING)


def awake(instance: Instance) -> InstanceState:
    """Whoever asked may enter: what it is about to be. Raises QuotaExceeded or Conflict where it cannot be woken."""
    state = InstanceState(instance.state)
    is_draining = state == InstanceState.RUNNING and getattr(instance, "is_draining", False)
    if state != InstanceState.ASLEEP and not is_draining:
        return state
    return waking.wake(instance.pk, at_once=_begin if settings.WAKES_AT_ONCE else None)


def _begin(instance_id: str) -> None:
    """Beside the answer, which need not wait: the proxy holds the request, and looks where the instance will be."""
    _risers.submit(_reconcile, instance_id)


def _reconcile(instance_id: str) -> None:
    close_old_connections()
    try:
        instances.reconcile(instance_id)
    except Exception:  # the task and the sweep come to it as well
        log.exception("not_reconciled_at_once instance=%s", instance_id)
    finally:
        close_old_connections()


def not_open(ask: Ask, instance: Instance, state: InstanceState, *, known: bool, is_owner: bool) -> Answer:
    """Why nothing answers, and what to do; the owner alone is told the reason and led to the instance's page."""
    link = _link(ask, instance) if is_owner else None
    if instance.cloud.state in HELD:
        word = "suspended" if instance.cloud.state == CloudState.SUSPENDED else "asleep"
        why = (instance.cloud.state_reason,) if is_owner else ("Its owner can see why in the console.",)
        page = pages.page(f"This app is {word}", *why, link=link)
        return say(ask, 503, word.capitalize(), page).also(("retry-after", "300"))
    if state in _COMING:
        return _coming(ask, "Starting", "Your app is starting" if known else "This app is starting", link)
    if state == InstanceState.ASLEEP:
        title = "Making room for your app" if known else "This app is starting"
        return _coming(ask, "Making room", title, link)
    if state == InstanceState.FAILED:
        reason = (instance.state_reason,) if link and instance.state_reason else ()
        advice = "Its page in the console has the logs and a Retry button." if link else "Its owner can restart it."
        page = pages.page("This app could not be started", *reason, advice, link=link)
        return say(ask, 503, "Failed", page).also(("retry-after", "30"))
    if state == InstanceState.REMOVING:
        return say(ask, 404, "Not found", pages.page("This app is being removed", "It will not come back.", link=link))
    page = pages.page("This app is stopped", "Its owner can start it from its page in the console.", link=link)
    return say(ask, 503, "Stopped", page).also(("retry-after", "30"))


def refused(ask: Ask, instance: Instance, refusal: QuotaExceeded | Conflict, *, is_owner: bool) -> Answer:
    """It stays asleep, and why: no room, or its cloud is not active."""
    if isinstance(refusal, Conflict):
        return not_open(ask, instance, InstanceState.STOPPED, known=is_owner, is_owner=is_owner)
    link = _link(ask, instance) if is_owner else None
    why = (str(refusal),) if is_owner else ("Its owner's cloud has no room for it at the moment.",)
    advice = "Put an app to sleep or remove one, or ask for a larger plan." if is_owner else "Try again later."
    page = pages.page("There is no room to start this app", *why, advice, link=link)
    answer = say(ask, 503, "Over quota", page).also(("retry-after", "10"))
    # Somebody else's app may fall idle in a moment, and then there is room.
    return _held(ask, answer, longest_ms=PAGE_AFTER_MS)


def _coming(ask: Ask, error: str, title: str, link: tuple[str, str] | None) -> Answer:
    sees = ask.wants_page and ask.method in ("GET", "HEAD") and not ask.upgrade
    words = "It will be here in a moment. This page asks again by itself." if sees else "Try again in a moment."
    page = pages.page(title, words, link=link, again_s=2 if sees else 0)
    answer = say(ask, 503, error, page).also(("retry-after", "2"))
    return _held(ask, answer, longest_ms=PAGE_AFTER_MS if sees else LONGEST_MS)


def _held(ask: Ask, answer: Answer, *, longest_ms: int) -> Answer:
    """Said only after the client was kept waiting for so long altogether."""
    left_ms = longest_ms - ask.held_ms
    return answer.held(min(left_ms, ASK_AGAIN_MS)) if left_ms > 0 else answer


def _link(ask: Ask, instance: Instance) -> tuple[str, str]:
    address = f"{ask.scheme}://{settings.CONSOLE_HOST}{ask.port}/instances/{instance.id}/"
    return address, "Open its page in the console"
