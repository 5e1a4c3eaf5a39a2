"""What the cluster could not or would not do is asked of it again by itself: rarely, ever more rarely, and not for ever.

A cluster that was away for an hour, a quota or an admission rule that an operator mended: nobody should have to press Retry
in each cloud. What an app itself does wrong is not tried again here; the cluster restarts processes as it does.
"""

from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from tenants.models import Cloud, Instance

FIRST = timedelta(minutes=1)
LONGEST = timedelta(hours=1)
TRIES = 30  # about a day
HINT = " It is tried again by itself for about a day."


def next_try(row: Cloud | Instance) -> datetime | None:
    """When to ask again after one more refusal; None when it was refused often enough."""
    if row.retries >= TRIES:
        return None
    wait: timedelta = min(LONGEST, FIRST * 2 ** min(row.retries, 10))
    return timezone.now() + wait


def explained(reason: str, row: Cloud | Instance) -> str:
    """The reason as a sentence, with what happens next."""
    sentence = reason[:1].upper() + reason[1:].rstrip(".") + "."
    return sentence + (HINT if row.retries < TRIES else "")


def due() -> Q:
    return Q(retry_at__lte=timezone.now())


def is_due(row: Cloud | Instance) -> bool:
    return row.retry_at is not None and row.retry_at <= timezone.now()
