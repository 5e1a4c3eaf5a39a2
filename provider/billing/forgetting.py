"""Letting go of what was paid for trying, before (or after) an installation takes real money."""

import logging

from django.conf import settings
from django.db import transaction
from django.db.models import F

from provider.billing.port import gateway, is_on
from tenants.errors import Refused
from tenants.models import BillingAccount, EventCursor, PaymentEvent, PlanPrice
from tenants.services.plan_changes import CHANGEABLE, change_plan

log = logging.getLogger(__name__)


def forget_trying() -> list[str]:
    """Customers, prices and events of test mode, one account after the other; returns a sentence for each. Again: the rest.

    While the test key is there, the customers are deleted at the payment provider too. A plan that only such a subscription
    gave is taken back where the default one fits. What was paid in live mode is never touched. Raises BillingError.
    """
    told = [_forget(account) for account in BillingAccount.objects.filter(livemode=False).exclude(customer="")]
    with transaction.atomic():
        PlanPrice.objects.filter(livemode=False).delete()
        EventCursor.objects.filter(livemode=False).delete()
    return told


def _forget(account: BillingAccount) -> str:
    if is_on() and not settings.STRIPE_LIVE:
        gateway().delete_customer(account.customer)
    with transaction.atomic():
        said = _take_back(account)
        PaymentEvent.objects.filter(customer=account.customer).delete()
        BillingAccount.objects.filter(pk=account.pk, livemode=False).update(
            customer="",
            subscription="",
            status="",
            price="",
            plan=None,
            problem="",
            cancel_at_period_end=False,
            ends_with_account=False,
            trial_end=None,
            period_end=None,
            settled=F("noticed"),
        )
    log.info("billing_trying_forgotten account=%s cloud=%s", account.pk, account.cloud_id)
    return said


def _take_back(account: BillingAccount) -> str:
    cloud = account.cloud
    if account.plan_id is None or cloud.plan_id != account.plan_id or cloud.state not in CHANGEABLE:
        return f"{cloud.pk}: keeps its plan, {cloud.plan_id}."
    try:
        with transaction.atomic():
            change_plan(None, cloud, settings.DEFAULT_PLAN, is_paid=True, reason="it was paid for in test mode")
    except Refused as refusal:
        return f"{cloud.pk}: keeps {cloud.plan_id} for now: {refusal}"
    return f"{cloud.pk}: has {settings.DEFAULT_PLAN} again."
