"""Doing what is due, many at a time, beside the worker's tasks: an app that takes its twenty seconds holds nobody else up.

One look at the database finds what is due; threads take from it until nothing is left. Whoever works on an action holds
its advisory lock, which ends with the worker's connection: that is how a death shows at once, and never two are at one.
"""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from datetime import datetime

from django.db import Error, close_old_connections, connection
from django.utils import timezone

from tenants.errors import Refused
from tenants.models import RunResult
from tenants.reconcile import actions
from tenants.reconcile.actions import Candidate, Delivery, Outcome
from tenants.reconcile.advisory import held
from tenants.reconcile.delivery import Undelivered, deliver

log = logging.getLogger(__name__)
AT_ONCE = 16
AT_ONCE_OF_ONE_CLOUD = 4
LOOK_AHEAD = 200
LINGER_S = 15.0  # longer than from one look to the next

Clock = Callable[[], datetime]
Wake = Callable[[str], object]


class Dispatcher:
    """One per process. wake: brings up an instance that sleeps, by its id; returns without waiting.

    clock: what is due is asked by it alone. linger_s: how long a thread with nothing to do keeps its connection.
    """

    def __init__(self, wake: Wake, clock: Clock = timezone.now, at_once: int = AT_ONCE, linger_s: float = 0.0) -> None:
        self._wake, self._clock, self._at_once, self._linger_s = wake, clock, at_once, linger_s
        self._lock = threading.Condition()
        self._waiting: deque[Candidate] = deque()
        self._seen: set[int] = set()  # since the last look from outside: each is tried once per look
        self._at_work: Counter[str] = Counter()  # by cloud
        self._busy: set[int] = set()
        self._threads = self._resting = 0
        self._stopped = False

    def look(self) -> int:
        """Begin with what is due, and return at once how many threads were begun. Called again, it adds what is missing."""
        with self._lock:
            if self._stopped:
                return 0
            self._seen.clear()
            self._waiting.clear()
            self._fill()
            begun = max(0, min(len(self._waiting) - self._resting, self._at_once - self._threads))
            self._threads += begun
            self._lock.notify(len(self._waiting))
        for number in range(begun):
            threading.Thread(target=self._work, name=f"action-{number}").start()
        return begun

    def stop(self) -> None:
        """What is on its way is waited for, nothing is begun any more."""
        with self._lock:
            self._stopped = True
            self._lock.notify_all()

    @property
    def is_idle(self) -> bool:
        with self._lock:
            return self._threads == self._resting

    def _fill(self) -> None:
        self._waiting.extend(actions.due(self._clock(), LOOK_AHEAD, self._seen | self._busy))

    def _work(self) -> None:
        try:
            while (candidate := self._take()) is not None:
                try:
                    close_old_connections()
                    self._run(candidate.action_id)
                except Exception:
                    log.exception("action_not_run action=%s", candidate.action_id)
                finally:
                    self._give_back(candidate)
        finally:
            connection.close()

    def _take(self) -> Candidate | None:
        """The next one, waited for a while; None ends the thread, in the same breath as it stops counting."""
        with self._lock:
            found = self._next()
            if found is None and self._linger_s and not self._stopped:
                self._resting += 1
                self._lock.wait(self._linger_s)
                self._resting -= 1
                found = self._next()
            if found is None:
                self._threads -= 1
            return found

    def _next(self) -> Candidate | None:
        if self._stopped:
            return None
        try:
            if not self._waiting:
                self._fill()
        except Exception:
            log.exception("due_actions_not_read")
            connection.close()
            return None
        found = next((one for one in self._waiting if self._is_free(one)), None)
        if found is not None:
            self._waiting.remove(found)
            self._seen.add(found.action_id)
            self._busy.add(found.action_id)
            self._at_work[found.cloud_id] += 1
        return found

    def _is_free(self, one: Candidate) -> bool:
        return one.action_id not in self._busy and self._at_work[one.cloud_id] < AT_ONCE_OF_ONE_CLOUD

    def _give_back(self, candidate: Candidate) -> None:
        with self._lock:
            self._busy.discard(candidate.action_id)
            self._at_work[candidate.cloud_id] -= 1
            if not self._at_work[candidate.cloud_id]:
                del self._at_work[candidate.cloud_id]

    def _run(self, action_id: int) -> None:
        with held(f"action:{action_id}", wait_s=0) as mine:
            delivery = actions.claim(action_id, self._clock()) if mine else None
            if delivery is not None:
                self._deliver(delivery)

    def _deliver(self, delivery: Delivery) -> None:
        try:
            if delivery.is_asleep:
                self._wake(delivery.instance_id)
        except Refused as refusal:
            actions.finish(delivery.run_id, Outcome(RunResult.FAILED, error=str(refusal)), self._clock())
            return
        try:
            outcome = deliver(delivery, lambda gate: actions.mark_sent(delivery, gate, self._clock()))
        except Undelivered as error:
            self._postpone(delivery, error)
            return
        if outcome is not None:
            self._finish(delivery, outcome)

    def _finish(self, delivery: Delivery, outcome: Outcome) -> None:
        """What an app did should be known even where the database is away just now."""
        for pause_s in (0.5, 2.0, 8.0, None):
            try:
                actions.finish(delivery.run_id, outcome, self._clock())
                return
            except Error:
                if pause_s is None:
                    raise
                connection.close()
                time.sleep(pause_s)

    def _postpone(self, delivery: Delivery, error: Undelivered) -> None:
        """It stays due, unless the app has been waited for long enough. What is our own fault waits as long as it takes."""
        actions.take_back(delivery)
        log.warning("action_waits run=%s instance=%s why=%s", delivery.run_id, delivery.instance_id, error)
        if error.is_absent and not actions.is_worth_waiting(delivery.run_id, self._clock()):
            outcome = Outcome(RunResult.FAILED, error="The app was not there in time.")
            actions.finish(delivery.run_id, outcome, self._clock())
