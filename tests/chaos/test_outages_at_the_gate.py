"""Redis, answers of the provider and PostgreSQL lost, one by one, at a whole Freehold: its owner and a stranger look on.

docs/operators/outages.md says the same to operators.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import httpx

from tests.chaos.test_killed_workers import LIMIT_S
from tests.chaos.test_other_losses import postgres_is_restarted, redis_is_emptied, redis_is_killed
from tests.journey.people import Person
from tests.journey.stack import Stack, client, until

# The proxy believes cookies for 5 s without its agent's word.
SHUT_S = 60
SHUT = (302, 401, 502, 503)


@contextmanager
def _frozen(first: int) -> Iterator[None]:
    """A process and those that it started."""
    below = Path(f"/proc/{first}/task/{first}/children").read_text().split()
    pids = [first, *map(int, below)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def live_hangs(stack: Stack) -> AbstractContextManager[None]:
    return _frozen(stack.pid_of("provider.live"))


def postgres_hangs(stack: Stack) -> AbstractContextManager[None]:
    return _frozen(stack.postmaster)


def _at_once(loss: Callable[[Stack], None]) -> Callable[[Stack], AbstractContextManager[None]]:
    @contextmanager
    def lost(stack: Stack) -> Iterator[None]:
        loss(stack)
        yield

    lost.__name__ = loss.__name__
    return lost


# With what comes of the owner's session meanwhile: whether it goes on all the time.
LOSSES = [
    (_at_once(redis_is_emptied), True),
    (_at_once(redis_is_killed), True),
    (live_hangs, True),
    (postgres_hangs, False),
    (_at_once(postgres_is_restarted), False),
]


def test_whatever_is_lost_private_stays_shut_and_all_heals_by_itself(freehold: Stack, owner: Person, app: str) -> None:
    instance = owner.running(app)
    url, stranger = instance["url"], client()

    def gets() -> int:
        """What the owner gets, who is signed in; 0 for nothing in time."""
        try:
            return owner.web.get(f"{url}seen", follow_redirects=False, timeout=5).status_code
        except httpx.TransportError:
            return 0

    def enters() -> bool:
        return gets() == 200

    def knocks() -> int:
        """What a stranger gets who asks for something private; 0 for nothing in time."""
        try:
            return stranger.get(f"{url}private", headers={"Accept": "text/html"}, timeout=5).status_code
        except httpx.TransportError:
            return 0

    until(lambda: owner.web.get(f"{url}seen").status_code == 200, LIMIT_S, "the owner has signed in")
    for loss, goes_on in LOSSES:
        with loss(freehold):
            # Never to the sign-in again. Without the database it may be a moment in which the agent has no word yet.
            assert gets() in ((200,) if goes_on else (200, 502)), f"{loss.__name__}: a session does not end with it"
            assert knocks() in (0, *SHUT), loss.__name__
            if loss is postgres_hangs:
                until(lambda: not enters(), SHUT_S, "cookies count no more where revocations cannot be heard of")
                assert knocks() in (0, *SHUT)
            elif goes_on:
                assert all(enters() for _ in range(20)), loss.__name__
        freehold.wait_until_well(LIMIT_S)
        until(enters, LIMIT_S, f"{loss.__name__}: the owner goes on")
        until(lambda: knocks() == 302, LIMIT_S, f"{loss.__name__}: strangers are led to the sign-in again")
    assert "/private" not in owner.web.get(f"{url}seen").text
    stranger.close()
    owner.remove(instance["id"])
