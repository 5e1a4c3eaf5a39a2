"""The two mails of a closing account: when it will be erased, and that it was. Twice is possible, never is not meant."""

import logging
import smtplib

from django.conf import settings
from django.core.mail import send_mail
from django.utils import timezone

from tenants import steps
from tenants.models import Cloud, Operation, User
from tenants.states import ArrearsState

log = logging.getLogger(__name__)
MAIL_TRIES = 5
_FAILURES = (OSError, smtplib.SMTPException)


def announce_date(cloud: Cloud) -> None:
    """Whoever did not ask for it learns of it here, in time. The console shows the same. Who is late with paying was told
    by dunning."""
    if cloud.arrears.filter(state=ArrearsState.CLOSING).exists():
        return
    owner = User.objects.get(pk=cloud.owner_id)
    text = (
        f"Your Freehold account “{owner.handle}” is being closed: your apps are stopped, and you are signed out.\n\n"
        f"Everything in it is erased on {cloud.erase_at:%-d %B %Y, %H:%M} UTC. Until then you can keep it: sign in at "
        f"{settings.CONSOLE_URL}/settings/close/\n\nIf it was not you who closed it, change your password as well.\n"
    )
    try:
        send_mail(f"Your account at {settings.CONSOLE_HOST} is being closed", text, None, [owner.email])
    except _FAILURES as error:
        log.warning("closing_not_announced cloud=%s error=%s", cloud.pk, error)


def receipt_sent(cloud: Cloud, owner: User, operation: Operation) -> bool:
    """To the address, while it is still known. A mail server that is down delays it for a while, and then no more."""
    now = timezone.now()
    why = "as you asked" if operation.actor_id else "because its plan was not paid for"
    text = (
        f"Your Freehold account “{owner.handle}” was closed on {operation.created_at:%-d %B %Y}, {why}.\n\n"
        f"On {now:%-d %B %Y, %H:%M} UTC the cloud {cloud.namespace} was erased with all data in it, "
        f"{cloud.instances.count()} installed apps, your projects that nobody else has installed, your tokens and "
        "sessions, and your address. Nobody can sign up with your handle again.\n"
    )
    try:
        send_mail(f"Receipt: your account at {settings.CONSOLE_HOST} is erased", text, None, [owner.email])
    except _FAILURES as error:
        if operation.attempts < MAIL_TRIES:
            steps.postpone(operation, f"the receipt cannot be sent: {error}", None, forever=True)
            return False
        log.warning("receipt_not_sent cloud=%s error=%s", cloud.pk, error)
    return True
