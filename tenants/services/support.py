"""What operators do for and to people. Each leaves an event with who and why, which nobody can change."""

import logging
import smtplib

from allauth.account.models import EmailAddress
from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction

from tenants.errors import Conflict, Refused
from tenants.models import Cloud, CloudHold, Event, HoldCause, Operation, OperatorRole, User
from tenants.services import holds
from tenants.services.retry import retry_operation
from tenants.states import HELD, CloudState

log = logging.getLogger(__name__)
REASON_LIMIT = 500


@transaction.atomic
def suspend_cloud(operator: User, cloud: Cloud, reason: str) -> Cloud:
    """Stop everything in it until it is restored. Its owner reads the reason, and can sign in, export and close.

    Raises Refused naming `reason`, Conflict for one that an operator suspended already, or that is not there.
    """
    reason = _reason(reason)
    row = _lock(cloud)
    if row.state not in (CloudState.ACTIVE, *HELD) or _suspended_by_operator(row):
        raise Conflict("not_active", f"A cloud that is {row.state} cannot be suspended.")
    if row.owner_id == operator.pk:
        raise Conflict("own_cloud", "Your own cloud is not yours to suspend.")
    before = row.state
    holds.hold(row, HoldCause.OPERATOR, CloudState.SUSPENDED, reason, actor=operator.pk)
    if row.state == before:  # it was already, for another reason; a move leaves its own event
        Event.record(row, before=before, after="held", actor=operator.pk, reason=reason)
    transaction.on_commit(lambda: _tell(row, "Your cloud is suspended", _SUSPENDED.format(reason=reason)))
    return row


@transaction.atomic
def restore_cloud(operator: User, cloud: Cloud, reason: str) -> Cloud:
    """What ran before starts again, unless something else holds the cloud. What is not paid for stays held: that is
    undone by paying. Raises Refused naming `reason`, Conflict for a cloud that no operator suspended."""
    reason = _reason(reason)
    row = _lock(cloud)
    if row.state not in HELD or not _suspended_by_operator(row):
        raise Conflict("not_suspended", f"A cloud that is {row.state} cannot be restored.")
    holds.release(row, HoldCause.OPERATOR, actor=operator.pk, reason=reason)
    if row.state == CloudState.ACTIVE:
        transaction.on_commit(lambda: _tell(row, "Your cloud is back", _RESTORED.format(console=settings.CONSOLE_URL)))
    return row


@transaction.atomic
def retry_for(operator: User, operation: Operation, reason: str) -> Operation:
    """Try again what failed for somebody. Raises Refused naming `reason`, Conflict for what did not fail."""
    reason = _reason(reason)
    again = retry_operation(operator, operation)
    Event.record(operation, before=operation.state, after="tried again", actor=operator.pk, reason=reason)
    return again


def resend_confirmation(operator: User, person: User, reason: str) -> None:
    """Mail the confirmation of their address again. Raises Refused naming `reason`, Conflict where none is open."""
    reason = _reason(reason)
    address = EmailAddress.objects.filter(user=person, verified=False).first()
    if address is None:
        raise Conflict("confirmed", "No address of theirs waits to be confirmed.")
    Event.record(person, before="", after="mail sent again", actor=operator.pk, reason=reason)
    address.send_confirmation()


@transaction.atomic
def appoint(operator: User, person: User, role: str, reason: str) -> User:
    """Make somebody an operator of `role`, or ("") nobody in particular. Raises Refused naming the field, Conflict."""
    reason = _reason(reason)
    if role and role not in OperatorRole.values:
        raise Refused("invalid_role", f"Roles are {', '.join(OperatorRole.values)}.", field="role")
    if person.pk == operator.pk:
        raise Conflict("own_role", "Your own role is for another operator to change.")
    row = User.objects.select_for_update(no_key=True).get(pk=person.pk)
    before = row.operator_role if row.is_staff else ""
    if before == role:
        return row
    row.is_staff, row.is_superuser = bool(role), role == OperatorRole.ADMIN
    row.operator_role = role or OperatorRole.ADMIN
    row.save(update_fields=["is_staff", "is_superuser", "operator_role"])
    Event.record(row, before=before, after=role or "none", actor=operator.pk, reason=reason)
    return row


_SUSPENDED = """Everything in your cloud has stopped, and nothing in it was deleted.

The reason: {reason}

You can still sign in, export your data and close your account.
"""
_RESTORED = """Your cloud is active again, and your apps start.

{console}/
"""


def _lock(cloud: Cloud) -> Cloud:
    row: Cloud = Cloud.objects.select_related("owner").select_for_update(of=("self",), no_key=True).get(pk=cloud.pk)
    return row


def _suspended_by_operator(cloud: Cloud) -> bool:
    return CloudHold.objects.filter(cloud=cloud, cause=HoldCause.OPERATOR).exists()


def _reason(text: str) -> str:
    text = " ".join(text.split())
    if not text or len(text) > REASON_LIMIT:
        raise Refused("reason_needed", f"Say why, in at most {REASON_LIMIT} characters.", field="reason")
    return text


def _tell(cloud: Cloud, subject: str, text: str) -> None:
    """The console says the same; a mail that does not get through is no reason to undo anything."""
    try:
        send_mail(subject, text, None, [cloud.owner.email])
    except (OSError, smtplib.SMTPException) as error:
        log.warning("mail_not_sent cloud=%s subject=%r error=%s", cloud.pk, subject, error)
