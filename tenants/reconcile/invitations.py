"""The mail about an invitation. It says the same whether or not its address has an account."""

import logging
import smtplib
from datetime import timedelta

from django.conf import settings
from django.core.mail import send_mail
from django.db.models import F
from django.utils import timezone

from tenants.models import Share
from tenants.states import ShareState

log = logging.getLogger(__name__)
LEASE = timedelta(minutes=5)
TRIES = 12  # an hour
KEPT = timedelta(days=30)


def due() -> list[str]:
    """For the sweep: mails that nobody sends or has sent."""
    return list(Share.objects.filter(mail_at__lte=timezone.now()).values_list("pk", flat=True)[:500])


def send(share_id: str) -> None:
    """Once, unless a worker is killed between sending and writing that down: then again after five minutes."""
    now = timezone.now()
    rows = Share.objects.filter(pk=share_id, mail_at__lte=now, state=ShareState.INVITED)
    claim = now + LEASE
    if not rows.update(mail_at=claim, mail_tries=F("mail_tries") + 1):
        return
    share = Share.objects.select_related("instance__app", "instance__cloud__owner").get(pk=share_id)
    mine = Share.objects.filter(pk=share_id, mail_at=claim)
    try:
        send_mail(_subject(share), _text(share), None, [share.email])
    except (OSError, smtplib.SMTPException) as error:
        log.warning("invitation_not_sent share=%s try=%s error=%s", share_id, share.mail_tries, error)
        if share.mail_tries >= TRIES:
            mine.update(mail_at=None)
        return
    mine.update(mail_at=None)


def forget_ended() -> None:
    """Addresses are not kept for longer than they serve against being written to again and again."""
    over = Share.objects.filter(state__in=(ShareState.ENDED, ShareState.DECLINED))
    over.filter(mailed_at__lt=timezone.now() - KEPT).delete()


def _subject(share: Share) -> str:
    # A name is a stranger's words: one line, whatever is in it.
    return " ".join(f"{share.instance.cloud.owner.handle} shares “{share.instance.app.name}” with you".split())


def _text(share: Share) -> str:
    handle, app = share.instance.cloud.owner.handle, share.instance.app.name
    return (
        f"{handle} invites you to their copy of “{app}” on {settings.CONSOLE_HOST}.\n\n"
        f"To answer, sign in with this address ({share.email}), or sign up with it first:\n"
        f"{settings.CONSOLE_URL}/shared/\n\n"
        f"If you accept, {handle} and the app learn your address. If you do not know {handle}, do nothing: without an "
        "answer nothing happens.\n"
    )
