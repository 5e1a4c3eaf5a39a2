"""The mails of dunning. Each names the date of what follows, and how to undo it."""

import logging
import smtplib
from datetime import timedelta

from django.conf import settings
from django.core.mail import send_mail
from django.db.models import F
from django.utils import timezone

from provider.billing.dunning import ENDED, SOON
from tenants.models import ArrearsMail
from tenants.states import ArrearsState

log = logging.getLogger(__name__)
LEASE = timedelta(minutes=5)
AT_ONCE = 500


def due() -> list[int]:
    """Mails that nobody sends or has sent."""
    return list(ArrearsMail.objects.filter(mail_at__lte=timezone.now()).values_list("pk", flat=True)[:AT_ONCE])


def send(mail_id: int) -> None:
    """Once, unless a worker is killed between sending and writing that down: then again after five minutes. A mail server
    that is down is tried until the next state has a mail of its own."""
    now = timezone.now()
    claim = now + LEASE
    if not ArrearsMail.objects.filter(pk=mail_id, mail_at__lte=now).update(
        mail_at=claim, mail_tries=F("mail_tries") + 1
    ):
        return
    row = ArrearsMail.objects.select_related("arrears__cloud__owner", "arrears__cloud__plan").get(pk=mail_id)
    subject, text = letter(row)
    try:
        send_mail(subject, text, None, [row.arrears.cloud.owner.email])
    except (OSError, smtplib.SMTPException) as error:
        log.warning(
            "dunning_not_told cloud=%s what=%s try=%s error=%s", row.arrears.cloud_id, row.what, row.mail_tries, error
        )
        return
    ArrearsMail.objects.filter(pk=mail_id, mail_at=claim).update(mail_at=None)


def letter(mail: ArrearsMail) -> tuple[str, str]:
    """(subject, text)."""
    subject, text = _LETTERS[mail.what]
    given = {
        "plan": mail.arrears.cloud.plan.name,
        "since": f"{mail.arrears.began_at:%-d %B %Y}",
        "date": f"{mail.date:%-d %B %Y, %H:%M} UTC" if mail.date else "",
        "billing": f"{settings.CONSOLE_URL}/billing/",
        "data": f"{settings.CONSOLE_URL}/collections/",
    }
    return subject.format(**given), text.format(**given)


_LETTERS: dict[str, tuple[str, str]] = {
    ArrearsState.PAST_DUE: (
        "Your payment for the plan {plan} did not get through",
        "Nothing changes for now: your apps go on.\n\nIf it is not paid until {date}, your apps are put to sleep then; "
        "your data stays where it is.\n\nPay, or use another card: {billing}\n",
    ),
    ArrearsState.PAST_DUE + SOON: (
        "Your apps are put to sleep soon",
        "The plan {plan} has not been paid for since {since}. On {date} your apps are put to sleep. Your data can be read "
        "and exported then, and everything comes back as it was once it is paid.\n\nPay: {billing}\n",
    ),
    ArrearsState.ASLEEP: (
        "Your apps are asleep until your plan is paid",
        "The plan {plan} has not been paid for since {since}, so your apps are asleep. Nothing was deleted: your data can "
        "be read and exported at {data}\n\nIf it is not paid until {date}, your cloud is suspended then.\n\n"
        "Pay, and everything starts again as it was: {billing}\n",
    ),
    ArrearsState.ASLEEP + SOON: (
        "Your cloud is suspended soon",
        "The plan {plan} has not been paid for since {since}. On {date} your cloud is suspended: what is in it stays, and "
        "you can export it, and nothing else.\n\nPay: {billing}\n",
    ),
    ArrearsState.SUSPENDED: (
        "Your cloud is suspended until your plan is paid",
        "The plan {plan} has not been paid for since {since}. Nothing was deleted: you can export your data at {data}\n\n"
        "If it is not paid until {date}, your account begins to close then.\n\n"
        "Pay, and everything starts again as it was: {billing}\n",
    ),
    ArrearsState.SUSPENDED + SOON: (
        "Your account begins to close soon",
        "The plan {plan} has not been paid for since {since}. On {date} your account begins to close, and a date is set on "
        "which everything in it is erased; you are told that date.\n\nPay: {billing}\nExport your data: {data}\n",
    ),
    ArrearsState.CLOSING: (
        "Your account is closing: everything is erased on {date}",
        "The plan {plan} has not been paid for since {since}.\n\nOn {date} everything in your cloud is erased for good. "
        "Until then you can sign in, export your data ({data}), or pay, and everything comes back: {billing}\n",
    ),
    ArrearsState.CLOSING + SOON: (
        "The last notice: everything is erased on {date}",
        "On {date} your cloud and all data in it are erased for good, because the plan {plan} has not been paid for since "
        "{since}.\n\nExport your data: {data}\nPay, and everything stays: {billing}\n",
    ),
    ENDED: (
        "Your subscription has ended",
        "It was not paid for, so it has ended, and nothing more is charged. Your cloud has the plan {plan} now; whatever "
        "had stopped starts again.\n\nYou can subscribe again at any time: {billing}\n",
    ),
    ArrearsState.PAID: (
        "Your plan is in order again",
        "Thank you. Nothing more is open for the plan {plan}; whatever had stopped for it starts again.\n\n{billing}\n",
    ),
}
