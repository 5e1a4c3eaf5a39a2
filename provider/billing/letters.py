"""Mails about money that the payment provider does not send: nobody's card is charged for the first time without a word."""

import logging
import smtplib
from datetime import timedelta

from django.conf import settings
from django.core.mail import send_mail
from django.db.models import F, Q
from django.utils import timezone

from tenants.models import BillingAccount, PlanPrice
from tenants.reconcile.advisory import held
from tenants.states import DARK
from tenants.templatetags.plans import money

log = logging.getLogger(__name__)
BEFORE = timedelta(days=3)
AT_ONCE = 200


def due() -> list[int]:
    """Accounts whose trial ends soon, goes over into paying, and whose owner was not told of that."""
    now = timezone.now()
    untold = Q(trial_told__isnull=True) | ~Q(trial_told=F("trial_end"))
    rows = BillingAccount.customers().filter(untold, status="trialing", cancel_at_period_end=False)
    rows = rows.filter(trial_end__gt=now, trial_end__lte=now + BEFORE).exclude(cloud__state__in=DARK)
    return list(rows.order_by("trial_end").values_list("pk", flat=True)[:AT_ONCE])


def announce_charge(account_id: int) -> None:
    """Once for each end of a trial, unless a worker is killed between sending and writing that down: then again."""
    with held(f"letter:{account_id}", wait_s=0) as mine:
        account = BillingAccount.objects.select_related("cloud__owner").get(pk=account_id)
        terms = PlanPrice.objects.select_related("plan").filter(pk=account.price).first()
        if not mine or terms is None or account.trial_end is None or account.trial_told == account.trial_end:
            return
        text = _TRIAL_ENDS.format(
            plan=terms.plan.name,
            day=f"{account.trial_end:%-d %B %Y, %H:%M} UTC",
            price=f"{money(terms.amount_minor, terms.currency)} a {terms.interval}",
            billing=f"{settings.CONSOLE_URL}/billing/",
        )
        try:
            send_mail(f"Your trial of {terms.plan.name} ends soon", text, None, [account.cloud.owner.email])
        except (OSError, smtplib.SMTPException) as error:  # tried again, as long as it is still true
            log.warning("trial_end_not_told account=%s cloud=%s error=%s", account_id, account.cloud_id, error)
            return
        BillingAccount.objects.filter(pk=account_id).update(trial_told=account.trial_end)


_TRIAL_ENDS = """Your trial of the plan {plan} ends on {day}.
From then on it costs {price} (plus taxes where they apply), and your card is charged for the first time.

To go on you need not do anything. To pay nothing, end the subscription before that day: your cloud gets
the free plan then.

{billing}
"""
