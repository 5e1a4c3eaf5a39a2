"""How keys, invited people and shared instances look in answers."""

from typing import Any

from rest_framework import serializers

from tenants.addresses import url_of
from tenants.api.answers import Moment, Text
from tenants.api.base import Document
from tenants.models import AppKey, Share
from tenants.representation import moment
from tenants.states import ShareState


class AppKeyShape(serializers.Serializer[Any]):
    """micro: null for every one that takes keys."""

    id = Text()
    name = Text()
    micro = Text(allow_null=True)
    prefix = Text()
    created_at = Moment()
    expires_at = Moment(allow_null=True)
    last_used_at = Moment(allow_null=True)


class IssuedAppKeyShape(AppKeyShape):
    key = Text()


class GuestShape(serializers.Serializer[Any]):
    """state: invited, accepted or declined. handle: null until they accepted."""

    id = Text()
    email = Text()
    state = Text()
    handle = Text(allow_null=True)
    invited_at = Moment()
    answered_at = Moment(allow_null=True)


class SharedShape(serializers.Serializer[Any]):
    """owner: a handle. state: invited, accepted, declined or ended. url: null unless one accepted."""

    id = Text()
    state = Text()
    owner = Text()
    app = Text()
    alias = Text()
    url = Text(allow_null=True)
    invited_at = Moment()


def app_key_document(key: AppKey) -> Document:
    return {
        "id": key.pk,
        "name": key.name,
        "micro": key.micro or None,
        "prefix": key.prefix,
        "created_at": moment(key.created_at),
        "expires_at": moment(key.expires_at),
        "last_used_at": moment(key.last_used_at),
    }


def guest_document(share: Share) -> Document:
    """`share` with its user."""
    return {
        "id": share.pk,
        "email": share.email,
        "state": share.state,
        "handle": share.user.handle if share.user else None,
        "invited_at": moment(share.mailed_at),
        "answered_at": moment(share.answered_at),
    }


def shared_document(share: Share) -> Document:
    """`share` with its instance, app and owner."""
    instance = share.instance
    return {
        "id": share.pk,
        "state": share.state,
        "owner": instance.cloud.owner.handle,
        "app": instance.app.slug,
        "alias": instance.alias,
        "url": url_of(instance) if share.state == ShareState.ACCEPTED else None,
        "invited_at": moment(share.mailed_at),
    }
