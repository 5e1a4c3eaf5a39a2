"""Use-cases about a project as a whole: its name, whether it is looked after, giving it up."""

from django.db import transaction
from django.utils import timezone

from apps_catalog.models import App, Placement
from tenants.errors import Conflict
from tenants.models import Event, Instance, User
from tenants.services import publish
from tenants.services.builder import builder_instance_of
from tenants.services.instances import remove_instance
from tenants.states import InstanceState


@transaction.atomic
def change_project(actor: User, app: App, *, name: str | None = None, maintained: bool | None = None) -> App:
    """Another name (the slug stays), or whether somebody looks after it. Raises Refused naming the field."""
    if name is not None:
        publish.rename_project(actor, app, name)
    if maintained is not None and maintained != (app.unmaintained_at is None):
        app.unmaintained_at = None if maintained else timezone.now()
        App.objects.filter(pk=app.pk).update(unmaintained_at=app.unmaintained_at)
        Event.record(app, before="", after="maintained" if maintained else "unmaintained", actor=actor.pk)
    return app


@transaction.atomic
def delete_project(actor: User, app: App) -> None:
    """Give it up: its pages, revisions and releases are gone for everybody, its developer's own copy is removed.

    Raises Conflict while somebody has a copy: those people keep what they have, so it can only be unlisted.
    """
    locked = App.objects.select_for_update(of=("self",), no_key=True).get(pk=app.pk)
    copies = Instance.objects.filter(app=locked, is_builder=False).exclude(state=InstanceState.REMOVED)
    if number := copies.count():
        whose = "person has" if number == 1 else "people have"
        raise Conflict(
            "project_in_use",
            f"{number} {whose} a copy of it. Withdraw its releases, or say that it is not maintained any more.",
            detail={"copies": number},
        )
    locked.revisions.filter(placement=Placement.DUE).update(placement=Placement.OVERTAKEN)
    own = builder_instance_of(locked)
    if own is not None:
        remove_instance(actor, own)
    App.objects.filter(pk=locked.pk).update(deleted_at=timezone.now(), listed=False)
    Event.record(locked, before="", after="deleted", actor=actor.pk)
