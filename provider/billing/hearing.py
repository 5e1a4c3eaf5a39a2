"""Events of the payment provider. What they say is not believed: they make us ask again, so their order is no matter."""

import logging
from datetime import timedelta

import redis
from celery import current_app
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone
from kombu.exceptions import OperationalError

from provider.billing.port import Happened, gateway
from tenants.models import BillingAccount, EventCursor, PaymentEvent, PaymentOutcome

log = logging.getLogger(__name__)
OVERLAP = timedelta(hours=1)  # what was made just before the last look may be listed only after it
KEPT_THERE = timedelta(days=29)  # Stripe lists events of 30 days
KEPT_HERE = timedelta(days=60)
SETTLE = "provider.billing.tasks.settle_account"
_COUNT = """INSERT INTO tenants_paymenteventcount AS t (kind, outcome, count) VALUES (%s, %s, 1)
            ON CONFLICT (kind, outcome) DO UPDATE SET count = t.count + 1"""


class WrongMode(Exception):
    """A test event where money is real, or the other way round."""


def hear(event: Happened, *, fetched: bool = False) -> bool:
    """Write it down and have its customer asked about. False: it was known.

    Killed before the commit: nothing is written, and it is sent or listed again. Raises WrongMode.
    """
    if event.is_live != settings.STRIPE_LIVE:
        count(PaymentOutcome.WRONG_MODE, event.kind)
        raise WrongMode(f"livemode is {event.is_live}")
    with transaction.atomic():
        _, is_new = PaymentEvent.objects.get_or_create(
            pk=event.id,
            defaults={
                "kind": event.kind,
                "customer": event.customer,
                "created_at": event.created,
                "was_fetched": fetched,
            },
        )
        if is_new and event.customer:
            for account in BillingAccount.customers().filter(customer=event.customer):
                notice(account.pk)
        if is_new:
            count(PaymentOutcome.FETCHED if fetched else PaymentOutcome.HEARD, event.kind)
        elif not fetched:  # the list tells much that is known already
            count(PaymentOutcome.KNOWN, event.kind)
    return is_new


def count(outcome: PaymentOutcome, kind: str = "") -> None:
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, (kind, outcome))


def notice(account_id: int) -> None:
    """Have the account asked about, soon; the sweep does it if the message is lost. In a transaction."""
    BillingAccount.objects.filter(pk=account_id).update(noticed=F("noticed") + 1)
    transaction.on_commit(lambda: _send(account_id))


def read_list() -> int:
    """Hear of what was not delivered, however long that was out. Returns how many events were new."""
    now = timezone.now()
    cursor = EventCursor.objects.filter(livemode=settings.STRIPE_LIVE).first()
    since = cursor.read_until - OVERLAP if cursor else now - KEPT_THERE
    if since < now - KEPT_THERE:  # the list is shorter than the gap: ask about everybody
        with transaction.atomic():
            for account_id in BillingAccount.customers().values_list("pk", flat=True):
                notice(account_id)
        since = now - KEPT_THERE
    new = 0
    for event in gateway().events_since(since):
        try:
            new += hear(event, fetched=True)
        except WrongMode:
            log.error("billing_event_of_the_wrong_mode event=%s", event.id)
    EventCursor.objects.update_or_create(livemode=settings.STRIPE_LIVE, defaults={"read_until": now})
    PaymentEvent.objects.filter(created_at__lt=now - KEPT_HERE).delete()
    if new:
        log.warning("billing_events_caught_up number=%s", new)
    return new


def _send(account_id: int) -> None:
    try:
        current_app.send_task(SETTLE, (account_id,), retry=False)
    except (OperationalError, redis.RedisError) as error:
        log.warning("enqueue_failed task=%s id=%s error=%s", SETTLE, account_id, error)
