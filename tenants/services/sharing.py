"""Letting other people into an instance: invite, answer, take back, leave. One transaction each; billing stays the owner's.

Whether an address has an account is never told: the owner sees the same for one that has and for one that has not, and the
mail is the same. An invitation is answered by whoever is signed in with that address, confirmed.
"""

from datetime import timedelta

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils import timezone

from tenants import access, feed
from tenants.errors import Conflict, Refused
from tenants.models import Event, Instance, Share, User
from tenants.services import quota
from tenants.states import InstanceState, ShareState, move
from tenants.tasks import enqueue_invitation

PEOPLE_LIMIT = 50
MAILS_A_DAY = 100  # that one cloud may cause
MAIL_AGAIN = timedelta(days=1)  # to the same address about the same app
IN_FORCE = (ShareState.INVITED, ShareState.ACCEPTED)
_LEAVING = (InstanceState.REMOVING, InstanceState.REMOVED)


@transaction.atomic
def invite(actor: User, instance: Instance, email: str) -> Share:
    """By mail. Again, while it waits for an answer: the same invitation, and after a day another mail.

    Raises Refused naming the field, Conflict for an instance that goes, for whoever declined within the last day, and for
    too many people or mails.
    """
    address = _address(email)
    if address in access.addresses_of(actor) or address == actor.email.lower():
        raise Refused("own_address", "That is your own address.", field="email")
    quota.lock(instance.cloud_id)
    locked = Instance.objects.select_for_update(of=("self",), no_key=True).get(pk=instance.pk)
    if locked.state in _LEAVING:
        raise Conflict("instance_removed", "It is being removed.")
    share = Share.objects.select_related("instance").filter(instance=locked, email=address).first()
    if share is not None and share.state in IN_FORCE:
        if share.state == ShareState.INVITED:
            _mail(share)
        return share
    if locked.shares.filter(state__in=IN_FORCE).count() >= PEOPLE_LIMIT:
        raise Conflict("too_many_people", f"At most {PEOPLE_LIMIT} people can be invited to one app.")
    return _ask(actor, locked, share, address)


def _ask(actor: User, instance: Instance, share: Share | None, address: str) -> Share:
    now = timezone.now()
    if share is None:
        share = Share(instance=instance, email=address, mailed_at=now - MAIL_AGAIN)
        share.save(force_insert=True)
        Event.record(share, before="", after=ShareState.INVITED, actor=actor.pk)
    elif share.state == ShareState.DECLINED and share.answered_at and share.answered_at > now - MAIL_AGAIN:
        raise Conflict("declined_lately", "They declined within the last day. Ask them before you ask again here.")
    else:
        move(share, ShareState.INVITED, actor=actor.pk, user=None, answered_at=None)
    _mail(share)
    return share


@transaction.atomic
def answer(person: User, share: Share, *, accept: bool) -> Share:
    """Of the invited person, who was found by `access.share_with`. The same answer again: nothing more.

    Raises Conflict when it was taken back or answered otherwise.
    """
    locked = _lock(share)
    to = ShareState.ACCEPTED if accept else ShareState.DECLINED
    if locked.state == to and locked.user_id in (None, person.pk):
        return locked
    if locked.state != ShareState.INVITED:
        raise Conflict("not_invited", "This invitation is not open any more.")
    user = person if accept else None
    move(locked, to, actor=person.pk, user=user, answered_at=timezone.now(), mail_at=None)
    feed.changed(locked.instance_id)
    return locked


@transaction.atomic
def end(actor: User, share: Share) -> None:
    """Taken back by the owner, or left by the person. The gate refuses within seconds. Again: nothing more."""
    locked = _lock(share)
    if locked.state != ShareState.ENDED:
        move(locked, ShareState.ENDED, actor=actor.pk, mail_at=None)
        feed.changed(locked.instance_id)


def is_invited(person: User, instance: Instance) -> bool:
    """An invitation waits for their answer."""
    waiting = access.shared_with(person).filter(instance=instance, state=ShareState.INVITED)
    return bool(waiting.exists())


def _lock(share: Share) -> Share:
    found: Share = (
        Share.objects.select_related("instance").select_for_update(of=("self",), no_key=True).get(pk=share.pk)
    )
    return found


def _mail(share: Share) -> None:
    """Asked for in this transaction, sent by a worker; not more often than strangers can be asked to bear."""
    if share.mailed_at > timezone.now() - MAIL_AGAIN:
        return  # they have one, and find the invitation in their console
    _require_mail(share.instance.cloud_id)
    share.mailed_at = share.mail_at = timezone.now()
    share.mail_tries = 0
    share.save(update_fields=["mailed_at", "mail_at", "mail_tries"])
    enqueue_invitation(share.pk)


def _require_mail(cloud_id: str) -> None:
    """Nobody's cloud is a way to write to strangers without end. The cloud's row is locked, so this counts rightly."""
    since = timezone.now() - timedelta(days=1)
    if Share.objects.filter(instance__cloud_id=cloud_id, mailed_at__gte=since).count() >= MAILS_A_DAY:
        raise Conflict(
            "too_many_invitations", f"At most {MAILS_A_DAY} invitations go out in a day. Try again tomorrow."
        )


def _address(email: str) -> str:
    address = email.strip().lower()
    try:
        validate_email(address)
    except ValidationError as error:
        raise Refused("invalid_email", "Enter a valid e-mail address.", field="email") from error
    if len(address) > 254:
        raise Refused("invalid_email", "Enter a valid e-mail address.", field="email")
    return address
