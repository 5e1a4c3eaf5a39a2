"""Taking drains away. Whoever does must hold the row as for deleting before anything else of it.

While a gate's agent writes its answer it holds the drain, lightly (provider/gate/drains.py); answers go before their drain.
Without the lock, one who deletes has the answers and waits for the drain, and the agent waits the other way round.
"""

from typing import Any

from django.db import transaction

from tenants.models import Drain


def locked_drain(subject: str) -> Drain | None:
    """In a transaction. Waits for whoever is just ending it; then there is none."""
    return Drain.objects.select_for_update(of=("self",)).filter(subject=subject).first()


@transaction.atomic
def drop_drains(**which: Any) -> None:
    """Those, without a word to anybody. Callers tell the gates what follows from it."""
    for drain in Drain.objects.select_for_update(of=("self",)).filter(**which).order_by("id"):
        drain.delete()
