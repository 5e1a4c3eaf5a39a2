"""From what the payment provider says of a customer to the plan of the cloud. Level-triggered: it asks for the present
state, whatever happened in between, and doing it again changes nothing."""

import logging
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from provider.billing.port import Subscription, gateway
from tenants.errors import Refused
from tenants.models import BillingAccount, PlanPrice
from tenants.models.billing import LIVE
from tenants.reconcile.advisory import held
from tenants.services.plan_changes import CHANGEABLE, change_plan
from tenants.states import CloudState

log = logging.getLogger(__name__)
AT_ONCE = 200
TRIED_EVERY = timedelta(minutes=10)  # a plan that could not be given may fit by now


def unsettled() -> list[int]:
    """Accounts that something was heard of since they were last asked about, and those that their cloud's end concerns."""
    heard = Q(settled__lt=F("noticed"))
    closing = Q(cloud__state=CloudState.CLOSING, status__in=LIVE, cancel_at_period_end=False)
    kept = Q(cloud__state=CloudState.ACTIVE, ends_with_account=True)
    closed = Q(cloud__state=CloudState.CLOSED)
    again = ~Q(problem="") & Q(checked_at__lt=timezone.now() - TRIED_EVERY, cloud__state__in=CHANGEABLE)
    rows = BillingAccount.customers().filter(heard | closing | kept | closed | again)
    return list(rows.order_by("checked_at").values_list("pk", flat=True)[:AT_ONCE])


def settle(account_id: int) -> None:
    """Ask, write down, and give the cloud the plan that is paid for. One process at a time for each account.

    Killed anywhere: `noticed` is still ahead and the next sweep does it again. Raises BillingError.
    """
    with held(f"billing:{account_id}") as mine:
        account = BillingAccount.customers().select_related("cloud").filter(pk=account_id).first()
        if not mine or account is None:
            return  # who holds it began before or after us; if before, noticed is ahead of what it settles
        if account.cloud.state == CloudState.CLOSED:
            _delete_customer(account)
            return
        _settle(account, gateway().subscriptions(account.customer))


def _settle(account: BillingAccount, found: list[Subscription]) -> None:
    live = [one for one in found if one.status in LIVE]
    for older in live[1:]:  # paid twice, in two windows: the newest counts
        log.warning("billing_second_subscription account=%s subscription=%s", account.pk, older.id)
        gateway().cancel(older.id)
    current = live[0] if live else None
    _follow_the_account(account, current)
    with transaction.atomic():
        problem, plan_id = _give_plan(account, current)
        last = current or (found[0] if found else None)
        BillingAccount.objects.filter(pk=account.pk).update(
            subscription=last.id if last else "",
            status=last.status if last else "",
            price=last.price if last else "",
            plan=plan_id,
            problem=problem,
            cancel_at_period_end=bool(current and current.cancel_at_period_end),
            trial_end=current.trial_end if current else None,
            period_end=current.period_end if current else None,
            settled=account.noticed,
            checked_at=timezone.now(),
        )


def _give_plan(account: BillingAccount, current: Subscription | None) -> tuple[str, str | None]:
    """(why not, the plan that the subscription gives). What an operator gave meanwhile stays as it is."""
    cloud, given = account.cloud, account.plan_id
    bought = _plan_of(current) if current else None
    if current and bought is None:
        return f"The price {current.price} belongs to no plan.", given
    cloud.refresh_from_db(fields=["plan_id"])
    if bought == given and not account.problem:
        return "", given
    if bought is None and cloud.plan_id != given and not account.problem:
        return "", None  # it has another plan by now, which no subscription gave
    wanted = bought or settings.DEFAULT_PLAN
    why = f"subscription {current.id} is {current.status}" if current else "its subscription has ended"
    if cloud.plan_id == wanted:
        return "", bought
    try:
        with transaction.atomic():
            change_plan(None, cloud, wanted, is_paid=True, reason=why)
    except Refused as refusal:
        log.warning("billing_plan_not_changed cloud=%s plan=%s why=%s", cloud.pk, wanted, refusal)
        return str(refusal), bought if bought is not None else given
    return "", bought


def _plan_of(subscription: Subscription) -> str | None:
    return PlanPrice.objects.filter(pk=subscription.price).values_list("plan_id", flat=True).first()


def _follow_the_account(account: BillingAccount, current: Subscription | None) -> None:
    """A subscription of an account that is being closed is not renewed; of one that is kept after all it goes on."""
    closing = account.cloud.state == CloudState.CLOSING
    if closing and current is not None and not current.cancel_at_period_end:
        # Written first: killed in between, it is known whose doing an end is, and the next look ends it.
        BillingAccount.objects.filter(pk=account.pk).update(ends_with_account=True, noticed=F("noticed") + 1)
        gateway().set_ending(current.id, ends=True)
    elif not closing and account.ends_with_account:
        if current is not None and current.cancel_at_period_end:
            gateway().set_ending(current.id, ends=False)
        BillingAccount.objects.filter(pk=account.pk).update(ends_with_account=False, noticed=F("noticed") + 1)


def _delete_customer(account: BillingAccount) -> None:
    """The cloud is erased: so is what the payment provider knows of its owner. Again: there is none any more."""
    gateway().delete_customer(account.customer)
    BillingAccount.objects.filter(pk=account.pk).update(
        customer="", subscription="", status="", price="", problem="", deleted_at=timezone.now(), settled=F("noticed")
    )
