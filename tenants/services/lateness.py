"""What people read of a plan that is not paid for: since when, what follows, and on which day."""

from dataclasses import dataclass
from datetime import datetime

from tenants.models import Arrears, Cloud
from tenants.states import ArrearsState

_NEXT = {
    ArrearsState.PAST_DUE: ("asleep", "your apps are put to sleep then; your data stays and can be read"),
    ArrearsState.ASLEEP: ("suspended", "your cloud is suspended then; your data stays and can be exported"),
    ArrearsState.SUSPENDED: ("closing", "your account begins to close then"),
    ArrearsState.CLOSING: ("erased", "everything in your cloud is erased then"),
}


@dataclass(frozen=True)
class Lateness:
    """state: of tenants.states.ArrearsState. next_at: when next_state begins unless it is paid; None: it stays so."""

    state: str
    began_at: datetime
    since: datetime
    next_at: datetime | None
    what = "payment"

    @property
    def next_state(self) -> str | None:
        return _NEXT[ArrearsState(self.state)][0] if self.next_at else None

    @property
    def is_full(self) -> bool:
        return self.state != ArrearsState.PAST_DUE

    @property
    def title(self) -> str:
        return f"Your plan has not been paid for since {self.began_at:%-d %B %Y}."

    @property
    def text(self) -> str:
        if self.next_at is None:
            return "Everything starts again once it is paid."
        then = _NEXT[ArrearsState(self.state)][1]
        return f"If it is not paid until {self.next_at:%-d %B %Y, %H:%M} UTC, {then}."


def lateness(cloud: Cloud) -> Lateness | None:
    """One query, none where `access.cloud_with_notices` gave the cloud."""
    late = getattr(cloud, "late", ...)
    if late is ...:
        names = ("state", "began_at", "since", "next_at")
        row = Arrears.objects.filter(cloud=cloud, ended_at__isnull=True).values(*names).first()
        return Lateness(**row) if row else None
    if late is None:
        return None
    when = {name: datetime.fromisoformat(late[name]) for name in ("began_at", "since", "next_at") if late[name]}
    return Lateness(**{"next_at": None, **when, "state": late["state"]})
