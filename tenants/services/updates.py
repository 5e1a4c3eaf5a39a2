"""Other versions of what is installed: what is offered, what it would newly be allowed, updating and going back."""

from collections.abc import Collection
from dataclasses import dataclass

from django.db import transaction

from apps_catalog.blueprint import blueprint_of, spacefile_of
from apps_catalog.differences import Demand, demands
from apps_catalog.models import Channel, Release, Revision
from apps_catalog.services import newest_release, releases_of
from tenants.errors import Conflict, Refused
from tenants.models import Instance, Operation, OperationKind, Quota, User
from tenants.services import quota
from tenants.services.images import require_runnable
from tenants.services.instances import bring_up, lock, require_still
from tenants.sizes import columns, needs_of, size_of
from tenants.states import InstanceState

NOTES_SHOWN = 10


@dataclass(frozen=True)
class UpdatePlan:
    """What an update would be. needs: all that the instance takes afterwards. demands: what its owner must agree to.

    news: the releases between the installed one and this one, newest first, whose notes are worth reading.
    """

    release: Release
    needs: Quota
    demands: tuple[Demand, ...]
    news: tuple[Release, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(demand.key for demand in self.demands)


def offered(instance: Instance) -> Release | None:
    """The newest release on the instance's channel, if it is newer than what is installed. `instance` with release.

    A developer's own copy follows what is pushed and is offered nothing.
    """
    if instance.is_builder or instance.release is None:
        return None
    newest = newest_release(instance.app, Channel(instance.channel))
    return newest if newest is not None and newest.created_at > instance.release.created_at else None


def plan_update(instance: Instance, release_id: str | None = None) -> UpdatePlan | None:
    """To the named release, or to the one that is offered; None where there is nothing newer. Writes nothing.

    Raises Refused (field release) for a release that the app has not, or that was withdrawn.
    """
    release = offered(instance) if release_id is None else _named(instance, release_id)
    if release is None or release.revision_id == instance.revision_id:
        return None
    needs = _needs(instance, release.revision)
    return UpdatePlan(
        release, needs, (*_differences(instance, release.revision), *_more(instance, needs)), _news(instance, release)
    )


@transaction.atomic
def update_instance(
    actor: User | None, instance: Instance, *, release_id: str | None = None, consent: Collection[str] = ()
) -> Operation:
    """Bring it to the named release or the newest one. If that does not start, the version before goes on.

    consent: keys of all that the newer version newly demands (`UpdatePlan.keys`), so that nobody agrees unseen.
    Raises Refused: needs_consent with the difference, up_to_date; QuotaExceeded; Conflict while something goes on.
    """
    cloud = quota.lock(instance.cloud_id)
    locked = lock(instance)
    require_still(locked)
    plan = plan_update(locked, release_id)
    if plan is None:
        raise Refused("up_to_date", "There is no newer version.", field="release")
    require_runnable(blueprint_of(plan.release.revision), cloud.cell_id, "release")
    open_demands = [demand for demand in plan.demands if demand.key not in consent]
    if open_demands:
        raise Refused(
            "needs_consent",
            "The new version asks for more: " + " ".join(demand.text for demand in open_demands),
            field="consent",
            detail={"needs_consent": [{"key": demand.key, "text": demand.text} for demand in open_demands]},
        )
    quota.require(cloud, _extra(locked, plan.needs))
    return move_to(actor, locked, plan.release.revision, plan.release, plan.needs)


@transaction.atomic
def rollback_instance(actor: User, instance: Instance) -> Operation:
    """Back to the version before the last update: its owner had agreed to that. Raises Conflict where there is none."""
    cloud = quota.lock(instance.cloud_id)
    locked = lock(instance)
    require_still(locked)
    revision = locked.previous_revision
    if revision is None:
        raise Conflict("nothing_to_go_back_to", "There is no version to go back to.")
    needs = _needs(locked, revision)
    quota.require(cloud, _extra(locked, needs))
    return move_to(actor, locked, revision, locked.previous_release, needs, kind=OperationKind.ROLLBACK)


def move_to(
    actor: User | None,
    locked: Instance,
    revision: Revision,
    release: Release | None,
    needs: Quota,
    kind: OperationKind = OperationKind.UPDATE,
) -> Operation:
    """Want another revision; what is checked about that is the caller's. Only what runs is worth going back to."""
    return bring_up(
        actor,
        locked,
        kind,
        revision=revision,
        release=release,
        previous_revision=locked.revision,
        previous_release=locked.release,
        reverts=locked.state in (InstanceState.RUNNING, InstanceState.ASLEEP),
        **columns(needs),
    )


def needs_after(locked: Instance, revision: Revision) -> tuple[Quota, Quota]:
    """(all that it takes with `revision`, what of that is more than now)."""
    needs = _needs(locked, revision)
    return needs, _extra(locked, needs)


def _named(instance: Instance, release_id: str) -> Release:
    release = releases_of(instance.app).filter(pk=release_id).first()
    if release is None:
        raise Refused("no_release", "The app has no such release.", field="release")
    if release.yanked_at is not None:
        raise Refused("release_yanked", f"Version {release.version} was withdrawn.", field="release")
    return release


def _needs(instance: Instance, revision: Revision) -> Quota:
    return needs_of(blueprint_of(revision), size_of(instance, blueprint_of(instance.revision)))


def _extra(instance: Instance, needs: Quota) -> Quota:
    return Quota(
        cpu_millis=max(0, needs.cpu_millis - instance.cpu_millis),
        memory_mib=max(0, needs.memory_mib - instance.memory_mib),
        storage_mib=max(0, needs.storage_mib - instance.storage_mib),
        instances=0,
    )


def _differences(instance: Instance, revision: Revision) -> tuple[Demand, ...]:
    return demands(spacefile_of(instance.revision), spacefile_of(revision))


def _more(instance: Instance, needs: Quota) -> list[Demand]:
    found = []
    if needs.memory_mib > instance.memory_mib:
        text = f"It may use {needs.memory_mib} MiB of memory; now it is {instance.memory_mib}."
        found.append(Demand(f"memory:{needs.memory_mib}", text))
    if needs.storage_mib > instance.storage_mib:
        text = f"It may store {needs.storage_mib} MiB; now it is {instance.storage_mib}."
        found.append(Demand(f"storage:{needs.storage_mib}", text))
    return found


def _news(instance: Instance, release: Release) -> tuple[Release, ...]:
    if instance.release is None:
        return (release,)
    between = releases_of(instance.app).filter(
        created_at__gt=instance.release.created_at, created_at__lte=release.created_at, yanked_at__isnull=True
    )
    if release.listed:
        between = between.filter(listed=True)
    return tuple(between[:NOTES_SHOWN]) or (release,)
