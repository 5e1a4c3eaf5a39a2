"""The mails about limits that come near."""

import logging
import smtplib
from datetime import timedelta

from django.conf import settings
from django.core.mail import send_mail
from django.db.models import F
from django.utils import timezone

from tenants.amounts import in_words
from tenants.models import Limited, LimitNotice, TrafficCap

log = logging.getLogger(__name__)
LEASE = timedelta(minutes=5)
TRIES = 12  # an hour


def due() -> list[str]:
    """For the sweep: mails that nobody sends or has sent."""
    found = LimitNotice.objects.filter(mail_at__lte=timezone.now()).values_list("pk", flat=True)[:500]
    return [str(pk) for pk in found]


def send(notice_id: str) -> None:
    """Once, unless a worker is killed between sending and writing that down: then again after five minutes."""
    now = timezone.now()
    claim = now + LEASE
    rows = LimitNotice.objects.filter(pk=notice_id, mail_at__lte=now)
    if not rows.update(mail_at=claim, mail_tries=F("mail_tries") + 1):
        return
    notice = LimitNotice.objects.select_related("cloud__owner").get(pk=notice_id)
    mine = LimitNotice.objects.filter(pk=notice_id, mail_at=claim)
    try:
        send_mail(subject_of(notice), _text(notice), None, [notice.cloud.owner.email])
    except (OSError, smtplib.SMTPException) as error:
        log.warning("limit_not_told cloud=%s try=%s error=%s", notice.cloud_id, notice.mail_tries, error)
        if notice.mail_tries >= TRIES:
            mine.update(mail_at=None)
        return
    mine.update(mail_at=None)


def subject_of(notice: LimitNotice) -> str:
    if notice.what == Limited.STORAGE:
        return f"Your cloud's storage is {_percent(notice)} % full"
    if notice.percent >= 100:
        return "Your cloud's traffic for this month is used up"
    return f"Your cloud has used {_percent(notice)} % of this month's traffic"


def consequence(what: str, percent: int, *, is_capped: bool) -> str:
    """What happens at 100 %, or has happened, and what its owner can do."""
    if what == Limited.STORAGE:
        return "At 100 % nothing more can be stored; reading and deleting go on."
    if is_capped:
        when = "Your apps are put to sleep now" if percent >= 100 else "At 100 % your apps are put to sleep"
        return f"{when}, as you chose, until the month ends, you raise the cap or you change your plan."
    if percent >= 100:
        return "Your apps go on, and nothing more is charged; the provider sees it too."
    return "At 100 % your apps go on: you have not chosen that they sleep then."


def _text(notice: LimitNotice) -> str:
    capped = TrafficCap.objects.filter(cloud=notice.cloud_id).exists()
    if notice.what == Limited.STORAGE:
        first = f"The data of your apps fills {_percent(notice)} % of the storage of your cloud."
        page = "cloud/"
    else:
        first = f"Your apps have sent {in_words(notice.used_bytes)} of {in_words(notice.limit_bytes)} this month."
        page = "cloud/usage/"
    then = consequence(notice.what, notice.percent, is_capped=capped)
    return f"{first} {then}\n\nSee what takes it: {settings.CONSOLE_URL}/{page}\n"


def _percent(notice: LimitNotice) -> int:
    return notice.used_bytes * 100 // notice.limit_bytes if notice.limit_bytes else 100
