"""A developer's own copy of an app: it follows what is pushed, as soon as that is built."""

from django.db import transaction

from apps_catalog.blueprint import blueprint_of
from apps_catalog.models import App, Placement, Revision
from tenants.addresses import alias_from, alias_limit
from tenants.errors import Conflict, Refused
from tenants.live import announce
from tenants.models import Cloud, Instance, Operation
from tenants.services import quota
from tenants.services.images import require_runnable
from tenants.services.instances import begin_install, lock, require_still, write_instance
from tenants.services.updates import move_to, needs_after
from tenants.sizes import Size, columns, needs_of
from tenants.states import InstanceState, RevisionState

SUFFIX = "-dev"


def builder_instance_of(app: App) -> Instance | None:
    """The developer's own copy, unless it was removed."""
    copies = Instance.objects.filter(app=app, is_builder=True)
    return copies.exclude(state__in=(InstanceState.REMOVING, InstanceState.REMOVED)).select_related("app").first()


@transaction.atomic
def place_revision(revision_id: str) -> None:
    """Bring a built revision into its developer's own copy, made if there is none. Again: nothing.

    While the copy is on its way to something else the revision stays due, and the sweep comes back.
    """
    cloud_id = Cloud.objects.filter(owner__apps__revisions=revision_id).values_list("pk", flat=True).first()
    if cloud_id is None:
        return
    try:
        cloud = quota.lock(cloud_id)
    except Conflict:
        return  # not active (yet, or any more)
    due = Revision.objects.select_for_update(of=("self",), no_key=True).select_related("app__developer")
    revision = due.filter(pk=revision_id, placement=Placement.DUE, state=RevisionState.READY).first()
    if revision is None:
        return
    if _is_overtaken(revision):
        _note(cloud, revision, Placement.OVERTAKEN)
        return
    try:
        operation = _place(cloud, revision)
    except Refused as refusal:
        if refusal.code != "instance_busy":
            _note(cloud, revision, Placement.REFUSED, note=str(refusal))
        return
    _note(cloud, revision, Placement.DONE, operation=operation)


def _is_overtaken(revision: Revision) -> bool:
    """A newer one is placed or about to be."""
    newer = Revision.objects.filter(app=revision.app, created_at__gt=revision.created_at, state=RevisionState.READY)
    return newer.filter(placement__in=(Placement.DUE, Placement.DONE)).exists()


def _place(cloud: Cloud, revision: Revision) -> Operation | None:
    """None where the very same already runs: nothing has to be started for what was pushed unchanged."""
    require_runnable(blueprint_of(revision), cloud.cell_id, "revision")
    copy = builder_instance_of(revision.app)
    if copy is None:
        return _install(cloud, revision)
    locked = lock(copy)
    require_still(locked)
    if locked.state == InstanceState.RUNNING and _is_same(locked.revision, revision):
        return None
    needs, extra = needs_after(locked, revision)
    quota.require(cloud, extra)
    return move_to(revision.app.developer, locked, revision, None, needs)


def _is_same(old: Revision, new: Revision) -> bool:
    return (old.source, old.digest) == (new.source, new.digest)


def _install(cloud: Cloud, revision: Revision) -> Operation:
    blueprint = blueprint_of(revision)
    needs = needs_of(blueprint, Size())
    quota.require(cloud, needs)
    alias = alias_from(revision.app.name)[: alias_limit() - len(SUFFIX)].rstrip("-") + SUFFIX
    instance = write_instance(
        cloud, revision, blueprint, alias=alias, collection_id=None, is_builder=True, **columns(needs)
    )
    return begin_install(revision.app.developer, cloud, instance)


def _note(
    cloud: Cloud, revision: Revision, placement: Placement, *, note: str = "", operation: Operation | None = None
) -> None:
    placed_by = operation.pk if operation else ""
    Revision.objects.filter(pk=revision.pk).update(placement=placement, placement_note=note, placed_by=placed_by)
    announce(cloud.pk, revision.pk)
