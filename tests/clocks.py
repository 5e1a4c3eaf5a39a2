"""A clock that a test sets. Django's own is the one that everything asks."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 10, tzinfo=UTC)


@dataclass
class Clock:
    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def on(self, **of: int) -> datetime:
        self.now += timedelta(**of)
        return self.now
