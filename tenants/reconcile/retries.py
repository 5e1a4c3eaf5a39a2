"""What the observer must look at again: in its memory alone, for a new observer begins by looking at everything."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from k8s.specs import Change

_FIRST_S, _LONGEST_S = 0.5, 30.0


@dataclass(frozen=True)
class _Turn:
    due: float
    pause_s: float
    altered: bool


class Retries:
    """Each change once, with a pause that doubles up to 30 s. clock: seconds that never go back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._turns: dict[Change, _Turn] = {}

    def note(self, change: Change, *, done: bool) -> None:
        known = self._turns.pop(change, None)
        if done:
            return
        pause_s = min(_LONGEST_S, known.pause_s * 2) if known else _FIRST_S
        altered = change.altered or (known is not None and known.altered)
        self._turns[change] = _Turn(self._clock() + pause_s, pause_s, altered)

    def due(self) -> list[Change]:
        """They stay noted until they are noted as done."""
        now = self._clock()
        return [
            Change(change.cloud_id, change.instance_id, change.job_id, altered=turn.altered)
            for change, turn in self._turns.items()
            if turn.due <= now
        ]

    def wait_s(self, longest_s: float) -> float:
        """Until the next is due."""
        next_s = min((turn.due for turn in self._turns.values()), default=float("inf")) - self._clock()
        return max(0.1, min(longest_s, next_s))
