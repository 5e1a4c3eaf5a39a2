"""What becomes of a cloud whose plan is not paid for: notice, its apps asleep, suspended, closing; each on a date that its
owner was told before, and each undone by paying. Level-triggered: it follows from what the payment provider said last.

Before anybody is moved on the provider is asked once more; where it does not answer, or billing is off, nobody is. A state
begins to count when it begins: whoever comes late to it, after an outage, gives everybody the whole of its days.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from provider.billing import settling
from provider.billing.port import is_on
from tenants.models import Arrears, ArrearsMail, BillingAccount, Cloud, HoldCause
from tenants.models.billing import LIVE
from tenants.services import closing, holds, quota
from tenants.states import HELD, ArrearsState, CloudState, move

REMINDED_BEFORE = timedelta(days=3)
SOON = "-soon"
ENDED = "ended"  # nothing is owed any more, since the subscription is over and the cloud has a free plan
_NEXT = {
    ArrearsState.PAST_DUE: ArrearsState.ASLEEP,
    ArrearsState.ASLEEP: ArrearsState.SUSPENDED,
    ArrearsState.SUSPENDED: ArrearsState.CLOSING,
}
_LEVELS = {ArrearsState.ASLEEP: CloudState.ASLEEP, ArrearsState.SUSPENDED: CloudState.SUSPENDED}
# A payment that failed; or a plan that stays, because the cloud fits into no free one, without a subscription for it.
_UNPAID = Q(status="past_due") | ~Q(problem="") & ~Q(status__in=(*LIVE, "")) & Q(plan=F("cloud__plan"))


def concerned() -> list[str]:
    """Clouds that are late, or were when they were looked at last."""
    late = BillingAccount.customers().filter(_UNPAID, cloud__state__in=(CloudState.ACTIVE, *HELD)) if is_on() else None
    known = Arrears.objects.filter(ended_at__isnull=True).values_list("cloud_id", flat=True)
    new = late.exclude(cloud__in=known).values_list("cloud_id", flat=True) if late is not None else ()
    return [*known, *new]


def look(cloud_id: str) -> None:
    """Bring one cloud to where it belongs now. Killed anywhere, or twice: the next look finds the same.

    Raises BillingError."""
    began = timezone.now()
    if _is_due(cloud_id, began) and (account_id := _late(cloud_id)):
        settling.settle(account_id)
        if not BillingAccount.objects.filter(pk=account_id, checked_at__gte=began).exists():
            return  # another process is just asking; the next look knows
    with transaction.atomic():
        cloud = quota.locked(cloud_id)
        arrears = Arrears.objects.filter(cloud=cloud, ended_at__isnull=True).first()
        is_late = _late(cloud_id) is not None
        if arrears is None:
            if is_late and cloud.state in (CloudState.ACTIVE, *HELD):
                _begin(cloud, began)
        elif cloud.state == CloudState.CLOSED:
            _end(arrears, ArrearsState.ERASED, began)
        elif not is_late:
            _paid(cloud, arrears, began)
        elif cloud.state != CloudState.CLOSING:  # who leaves anyway is on their way
            _go_on(cloud, arrears, began)
        elif arrears.state == ArrearsState.CLOSING:
            _remind(arrears, began)


def _late(cloud_id: str) -> int | None:
    """The account of a cloud whose plan is not paid for."""
    late = BillingAccount.customers().filter(_UNPAID, cloud_id=cloud_id) if is_on() else BillingAccount.objects.none()
    return late.values_list("pk", flat=True).first()


def _is_due(cloud_id: str, now: datetime) -> bool:
    return Arrears.objects.filter(cloud_id=cloud_id, ended_at__isnull=True, next_at__lte=now).exists()


def _begin(cloud: Cloud, now: datetime) -> None:
    arrears = Arrears.objects.create(cloud=cloud, began_at=now, since=now, next_at=now + _lasts(ArrearsState.PAST_DUE))
    _tell(arrears, ArrearsState.PAST_DUE, now)


def _go_on(cloud: Cloud, arrears: Arrears, now: datetime) -> None:
    if arrears.next_at is None or arrears.next_at > now:
        _remind(arrears, now)
        return
    to = _NEXT[ArrearsState(arrears.state)]
    if to == ArrearsState.CLOSING:
        if cloud.owner.is_staff:  # another operator decides about an operator
            Arrears.objects.filter(pk=arrears.pk).update(next_at=None)
            return
        closing.close(cloud, None)
        until = cloud.erase_at
    else:
        holds.hold(cloud, HoldCause.PAYMENT, _LEVELS[to], _why(cloud, arrears))
        until = now + _lasts(to)
    move(arrears, to, since=now, next_at=until)
    _tell(arrears, to, now)


def _paid(cloud: Cloud, arrears: Arrears, now: datetime) -> None:
    is_closing = arrears.state == ArrearsState.CLOSING and cloud.state == CloudState.CLOSING
    if is_closing and not closing.can_reopen(cloud):
        return  # too late: it is being erased
    holds.release(cloud, HoldCause.PAYMENT)
    if is_closing:
        closing.reopen(cloud, None)
    _end(arrears, ArrearsState.PAID, now)
    pays = BillingAccount.customers().filter(cloud=cloud, status__in=LIVE).exists()
    _tell(arrears, ArrearsState.PAID if pays else ENDED, now)


def _end(arrears: Arrears, state: ArrearsState, now: datetime) -> None:
    move(arrears, state, since=now, next_at=None, ended_at=now)
    ArrearsMail.objects.filter(arrears=arrears).update(mail_at=None)  # what was not sent yet is not true any more


def _remind(arrears: Arrears, now: datetime) -> None:
    soon = arrears.next_at is not None and arrears.next_at - REMINDED_BEFORE <= now < arrears.next_at
    if soon:
        _tell(arrears, f"{arrears.state}{SOON}", now)


def _tell(arrears: Arrears, what: str, now: datetime) -> None:
    """Once: the row of the mail says that it was."""
    ArrearsMail.objects.get_or_create(
        arrears=arrears, what=what, defaults={"date": arrears.next_at, "told_at": now, "mail_at": now}
    )


def _lasts(state: ArrearsState) -> timedelta:
    return timedelta(days=settings.DUNNING_DAYS[state])


def _why(cloud: Cloud, arrears: Arrears) -> str:
    return f"The plan {cloud.plan.name} has not been paid for since {arrears.began_at:%-d %B %Y}."
