"""Background work about money."""

import logging

from celery import shared_task
from django.conf import settings

from provider.billing import hearing, letters, settling
from provider.billing.port import BillingError, is_on
from tenants.models import BillingAccount

log = logging.getLogger(__name__)


@shared_task
def settle_account(account_id: int) -> None:
    if is_on():
        _settle(account_id)


@shared_task
def settle() -> None:
    """Once a minute: whatever is not settled, and mails that are due. A payment provider that is away costs minutes."""
    if is_on():
        for account_id in settling.unsettled():
            _settle(account_id)
        for account_id in letters.due():
            letters.announce_charge(account_id)


@shared_task
def read_events() -> None:
    """Once an hour: what was not delivered."""
    if not is_on():
        return
    others = BillingAccount.objects.exclude(customer="").exclude(livemode=settings.STRIPE_LIVE).count()
    if others:
        log.error("billing_accounts_of_the_other_mode number=%s", others)
    try:
        hearing.read_list()
    except BillingError as error:
        log.warning("billing_events_not_read why=%s", error)


def _settle(account_id: int) -> None:
    try:
        settling.settle(account_id)
    except BillingError as error:
        log.warning("billing_not_settled account=%s why=%s", account_id, error)
