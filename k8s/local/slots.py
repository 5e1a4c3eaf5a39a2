"""Numbers of the addresses that sandboxes have."""

import secrets
from collections.abc import Iterable

from k8s.errors import Permanent


class Slots:
    """They are given out in turn: one that was just freed may still be in somebody's map."""

    def __init__(self, numbers: range, taken: Iterable[int]) -> None:
        self._numbers = numbers
        self._taken = set(taken)
        self._next = secrets.randbelow(len(numbers))

    def take(self) -> int:
        """Raises Permanent when none is left."""
        for step in range(len(self._numbers)):
            number = self._numbers[(self._next + step) % len(self._numbers)]
            if number not in self._taken:
                self._next = (self._next + step + 1) % len(self._numbers)
                self._taken.add(number)
                return number
        raise Permanent("this machine has no free address for another sandbox")

    def free(self, number: int) -> None:
        self._taken.discard(number)
