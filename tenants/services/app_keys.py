"""Keys that programs show to an app (`X-Space-App-Key`). One transaction each; the gate knows within half a second."""

import hashlib
import secrets
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from apps_catalog.identifiers import random_letters
from tenants import feed
from tenants.errors import Conflict, Refused
from tenants.models import AppKey, Event, Instance, User
from tenants.states import InstanceState

KEYS_LIMIT = 50
NAME_LIMIT = 60
_LEAVING = (InstanceState.REMOVING, InstanceState.REMOVED)


def micros_with_keys(instance: Instance) -> list[str]:
    """Names of its micros whose private paths a key may open, as the app's Spacefile says (`presets.api_keys`)."""
    return [micro.name for micro in instance.micros.all() if micro.takes_keys]


@transaction.atomic
def make_key(
    actor: User, instance: Instance, name: str, micro: str | None = None, expires_at: datetime | None = None
) -> tuple[AppKey, str]:
    """A key and its text, which is never shown again. micro: None for every one that takes keys.

    Raises Refused naming the field, Conflict for an instance that goes or has too many keys.
    """
    checked = _name(name)
    locked = _lock(instance)
    known = micros_with_keys(locked)
    if not known:
        raise Conflict("takes_no_keys", "No part of this app takes keys.")
    if micro and micro not in known:
        raise Refused("no_such_micro", f"Keys can be made for: {', '.join(known)}.", field="micro")
    if expires_at is not None and expires_at <= timezone.now():
        raise Refused("invalid_expiry", "The key would have expired already.", field="expires_at")
    if locked.app_keys.count() >= KEYS_LIMIT:
        raise Conflict("too_many_keys", f"An app has at most {KEYS_LIMIT} keys; revoke one first.")
    begin = f"fhk_{random_letters(8)}"
    text = f"{begin}_{secrets.token_urlsafe(32)}"
    key = AppKey.objects.create(
        instance=locked,
        micro=micro or "",
        name=checked,
        prefix=begin,
        sha256=hashlib.sha256(text.encode()).hexdigest(),  # 256 random bits need no slow hash
        expires_at=expires_at,
    )
    _record(key, locked, actor, before="", after="made")
    feed.changed(locked.pk)
    return key, text


@transaction.atomic
def revoke_key(actor: User, key: AppKey) -> None:
    """Whoever shows it is refused within seconds. Again: nothing more."""
    instance = _lock(key.instance, leaving=True)
    if AppKey.objects.filter(pk=key.pk).delete()[0]:
        _record(key, instance, actor, before="made", after="revoked")
        feed.changed(instance.pk)


def _lock(instance: Instance, *, leaving: bool = False) -> Instance:
    locked: Instance = Instance.objects.select_for_update(of=("self",), no_key=True).get(pk=instance.pk)
    if locked.state in _LEAVING and not leaving:
        raise Conflict("instance_removed", "It is being removed.")
    return locked


def _record(key: AppKey, instance: Instance, actor: User, *, before: str, after: str) -> None:
    Event.objects.create(
        cloud_id=instance.cloud_id, subject=key.pk, kind="appkey", before=before, after=after, actor=actor.pk
    )


def _name(name: str) -> str:
    cleaned = " ".join(name.split())
    if not cleaned or len(cleaned) > NAME_LIMIT or not cleaned.isprintable():
        raise Refused("invalid_name", f"A name has 1 to {NAME_LIMIT} printable characters.", field="name")
    return cleaned
