"""Background work about money."""

import logging

from celery import shared_task
from django.conf import settings

from provider.billing import dunning, hearing, letters, notices, settling
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


@shared_task
def dun() -> None:
    """Once a minute: those who are late with paying, by their dates, and the mails that tell them."""
    for cloud_id in dunning.concerned():
        try:
            dunning.look(cloud_id)
        except BillingError as error:  # nobody is moved on while it cannot be asked whether they have paid
            log.warning("dunning_postponed cloud=%s why=%s", cloud_id, error)
    for mail_id in notices.due():
        notices.send(mail_id)


def _settle(account_id: int) -> None:
    try:
        settling.settle(account_id)
    except BillingError as error:
        log.warning("billing_not_settled account=%s why=%s", account_id, error)
