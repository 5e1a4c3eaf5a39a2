"""Use-cases of instances: install, restart, change, remove. One transaction each; the cluster hears of it afterwards."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from apps_catalog.blueprint import Blueprint, blueprint_of
from apps_catalog.identifiers import new_id
from apps_catalog.models import App, Channel, Release, Revision
from apps_catalog.services import release_of
from tenants import access, feed, steps
from tenants.addresses import alias_from, check_alias, new_host
from tenants.errors import Conflict, Refused
from tenants.live import announce
from tenants.models import Cloud, Instance, InstanceMicro, Operation, OperationKind, Quota, User, Wanted
from tenants.reconcile import actions, versions
from tenants.services import data_sleep, quota
from tenants.services.collections import give_collection, kept_collection, take_collection
from tenants.services.drains import drop_drains
from tenants.services.images import require_runnable
from tenants.sizes import Size, columns, needs_of
from tenants.states import InstanceState, move
from tenants.tasks import enqueue_instance

HOST_ATTEMPTS = 5
VALUE_LIMIT = 10_000

INSTALL_STEPS = (
    ("reserve", "Reserve room in your cloud"),
    ("prepare", "Hand the app to your cloud"),
    ("start", "Start it"),
    ("address", "Open its address"),
)
RESTART_STEPS = (
    ("close", "Close its address"),
    ("prepare", "Tell your cloud"),
    ("start", "Start it afresh"),
    ("address", "Open its address"),
)
UPDATE_STEPS = (
    ("prepare", "Hand the new version to your cloud"),
    ("start", "Start it while the old one serves"),
    ("address", "Lead its address there"),
)
KEEP_STEP = ("keep", "Keep a copy of its data to go back to")
MIGRATE_STEP = ("migrate", "Run what this version wants to do first")
REMOVE_STEPS = (("close", "Close its address"), ("stop", "Stop it"), ("clear", "Clear up what it used"))


@dataclass(frozen=True)
class InstallPlan:
    """What an install would take, and what of the quota would be in use afterwards. `alias` is the one it would get."""

    app: App
    release: Release
    blueprint: Blueprint
    alias: str
    config: dict[str, str]
    needs: Quota
    channel: str
    collection_id: str | None = None


def plan_install(
    actor: User,
    *,
    app_slug: str,
    release_id: str | None = None,
    alias: str | None = None,
    config: Mapping[str, Any] | None = None,
    size: Size | None = None,
    channel: str | None = None,
    collection_id: str | None = None,
) -> InstallPlan:
    """Check everything about an install but the quota; writes nothing. Raises Refused naming the field, or Http404."""
    app = access.app_for(actor, app_slug)
    if collection_id is not None:
        kept_collection(access.cloud_of(actor), collection_id)
    release = release_of(app, release_id, Channel(_channel(channel)))
    if release is None:
        field = "release" if release_id else "channel"
        raise Refused("no_release", "The app has no such release to install.", field=field)
    blueprint = blueprint_of(release.revision)
    require_runnable(blueprint, access.cloud_of(actor).cell_id, "release")
    return InstallPlan(
        app=app,
        release=release,
        blueprint=blueprint,
        alias=check_alias(alias) if alias is not None else alias_from(app.name),
        config=check_config(blueprint, config or {}),
        needs=needs_of(blueprint, _size(size)),
        channel=_channel(channel),
        collection_id=collection_id,
    )


@transaction.atomic
def install_app(
    actor: User,
    *,
    app_slug: str,
    release_id: str | None = None,
    alias: str | None = None,
    config: Mapping[str, Any] | None = None,
    size: Size | None = None,
    channel: str | None = None,
    collection_id: str | None = None,
) -> tuple[Instance, Operation]:
    """Write a new instance of the app's newest (or the named) release into the actor's cloud, with its collection.

    collection_id: a kept one that it goes on with; None: a new one.

    Raises QuotaExceeded before anything is written, Refused naming the field, Conflict for a cloud that takes nothing.
    Twice makes two: callers who may be repeated go through `idempotency.once`.
    """
    plan = plan_install(
        actor,
        app_slug=app_slug,
        release_id=release_id,
        alias=alias,
        config=config,
        size=size,
        channel=channel,
        collection_id=collection_id,
    )
    cloud = quota.lock(access.cloud_of(actor).pk)
    quota.require(cloud, plan.needs)
    instance = _write(cloud, plan)
    return instance, begin_install(actor, cloud, instance)


def begin_install(actor: User, cloud: Cloud, instance: Instance) -> Operation:
    """The operation of an instance that was just written."""
    titles = before_it(INSTALL_STEPS, MIGRATE_STEP) if instance.migration else INSTALL_STEPS
    operation = steps.open_operation(
        OperationKind.INSTALL, cloud, titles, actor=actor, instance=instance, done=("reserve",)
    )
    moved(instance)
    return operation


def before_it(titles: steps.Titles, *more: tuple[str, str]) -> steps.Titles:
    """`more` come before the cluster is handed the version itself."""
    at = next(place for place, (name, _) in enumerate(titles) if name == "prepare")
    return (*titles[:at], *more, *titles[at:])


@transaction.atomic
def restart_instance(actor: User, instance: Instance) -> Operation:
    """Replace its processes; of a failed one this is Retry. Raises Conflict while something else is going on."""
    quota.lock(instance.cloud_id)  # clouds before instances, everywhere: no deadlocks
    locked = lock(instance)
    require_still(locked)
    return bring_up(actor, locked, OperationKind.RESTART, restart=F("restart") + 1)


@transaction.atomic
def renew_calls_key(actor: User, instance: Instance) -> Operation:
    """Another `DETA_API_KEY` for its micros, which start afresh with it; the old one is refused within seconds.

    Raises Conflict while something else is going on.
    """
    quota.lock(instance.cloud_id)
    locked = lock(instance)
    require_still(locked)
    changes = {"restart": F("restart") + 1, "calls_version": F("calls_version") + 1}
    return bring_up(actor, locked, OperationKind.RESTART, **changes)


def start_again(actor: User, instance: Instance) -> Operation:
    """Bring up what was stopped because its cloud was closing. In the transaction that locked the cloud's row."""
    return bring_up(actor, lock(instance), OperationKind.RESTART)


@transaction.atomic
def change_instance(
    actor: User,
    instance: Instance,
    *,
    alias: str | None = None,
    config: Mapping[str, str | None] | None = None,
    auto_update: bool | None = None,
) -> tuple[Instance, Operation | None]:
    """Give it another alias (its address stays what it was), or other settings, which restarts it.

    config: settings to change; those left out keep their values, None or "" takes one back to the app's default.
    auto_update: whether new releases are installed by themselves, as long as they ask for nothing more.
    Returns the operation that brings new settings in, None where nothing has to be restarted.
    Raises Refused naming the field, Conflict while something else is going on.
    """
    quota.lock(instance.cloud_id)
    locked = lock(instance)
    if locked.state in (InstanceState.REMOVING, InstanceState.REMOVED):
        raise Conflict("instance_removed", "It is being removed.")
    if alias is not None and alias != locked.alias:
        locked.alias = check_alias(alias)
        locked.save(update_fields=["alias"])
        announce(locked.cloud_id, locked.pk)
    if auto_update is not None and auto_update != locked.auto_update:
        locked.auto_update = auto_update
        locked.save(update_fields=["auto_update"])
        announce(locked.cloud_id, locked.pk)
    operation = None
    if config is not None:
        operation = _configure(actor, locked, config)
    return locked, operation


@transaction.atomic
def remove_instance(actor: User, instance: Instance, *, delete_data: bool = False) -> Operation:
    """Take it away; its volume and its collection are kept unless `delete_data`.

    Again: the operation that is removing it, or did.

    Raises Conflict if it is being removed with the other answer to what happens to its data.
    """
    Cloud.objects.select_for_update(of=("self",), no_key=True).get(pk=instance.cloud_id)  # clouds before instances
    locked = lock(instance)
    if locked.wanted == Wanted.REMOVED:
        if locked.delete_data != delete_data:
            raise Conflict("instance_removed", "It is being removed already, with another choice about its data.")
        return _removal_of(actor, locked)
    for other in Operation.objects.filter(instance=locked, state__in=steps.OPEN):
        steps.cancel(other, "The app was removed.")
    changes: dict[str, Any] = {
        "wanted": Wanted.REMOVED,
        "delete_data": delete_data,
        "generation": locked.generation + 1,
    }
    move(locked, InstanceState.REMOVING, actor=actor.pk, state_reason="", **changes)
    take_collection(actor, locked, delete_data=delete_data)
    locked.app_keys.all().delete()
    locked.shares.all().delete()
    return _open_removal(actor, locked)


STILL = (InstanceState.RUNNING, InstanceState.ASLEEP, InstanceState.FAILED)


def require_still(locked: Instance, states: Collection[str] = STILL) -> None:
    """Raises Conflict unless it is in one of `states`: nothing is changed under something that goes on."""
    if locked.state not in states:
        raise Conflict("instance_busy", f"It is {locked.get_state_display().lower()} now; try again when that is over.")


def check_config(blueprint: Blueprint, config: Mapping[str, Any]) -> dict[str, str]:
    """Values for the app's own settings. Raises Refused (field config) for unknown names and what is not text."""
    unknown = sorted(set(config) - blueprint.settings)
    if unknown:
        raise Refused("invalid_config", f"The app has no setting “{unknown[0][:60]}”.", field="config")
    for name, value in config.items():
        if not isinstance(value, str) or len(value) > VALUE_LIMIT or "\x00" in value:
            raise Refused(
                "invalid_config", f"“{name[:60]}” must be text of at most {VALUE_LIMIT} characters.", field="config"
            )
    return dict(config)


def _channel(channel: str | None) -> str:
    if channel is not None and channel not in Channel.values:
        raise Refused("invalid_channel", f"Channels are {' and '.join(Channel.values)}.", field="channel")
    return channel or Channel.STABLE


def _size(size: Size | None) -> Size:
    size = size or Size()
    if not 50 <= size.cpu_millis <= 16_000:
        raise Refused("invalid_size", "cpu_millis is 50 to 16000 thousandths of a core.", field="size")
    if not 64 <= size.memory_mib <= 65_536:
        raise Refused("invalid_size", "memory_mib is 64 to 65536.", field="size")
    return size


def _write(cloud: Cloud, plan: InstallPlan) -> Instance:
    if not Instance.objects.filter(cloud=cloud, app=plan.app, is_builder=False).exists():
        App.objects.filter(pk=plan.app.pk).update(installs=F("installs") + 1)
    return write_instance(
        cloud,
        plan.release.revision,
        plan.blueprint,
        release=plan.release,
        alias=plan.alias,
        config=plan.config,
        channel=plan.channel,
        collection_id=plan.collection_id,
        **columns(plan.needs),
    )


def write_instance(
    cloud: Cloud,
    revision: Revision,
    blueprint: Blueprint,
    *,
    alias: str,
    collection_id: str | None = None,
    **row: Any,
) -> Instance:
    """A new instance with its micros and its collection. The caller holds the cloud's lock and has asked its quota."""
    instance = _insert(cloud, revision, alias, {"migration": versions.migration_for(blueprint), **row})
    give_collection(cloud, instance, collection_id)
    InstanceMicro.objects.bulk_create(versions.micro_rows(instance, revision, blueprint))
    actions.align(instance, timezone.now())
    return instance


def _insert(cloud: Cloud, revision: Revision, alias: str, row: dict[str, Any]) -> Instance:
    """The row, with a host that nobody has. 40 random bits collide hardly ever, but an address must be one's own."""
    for attempt in range(HOST_ATTEMPTS):
        try:
            with transaction.atomic():
                return Instance.objects.create(
                    cloud=cloud,
                    app_id=revision.app_id,
                    revision=revision,
                    alias=alias,
                    host=new_host(alias, cloud.cell),
                    **row,
                )
        except IntegrityError:
            if attempt == HOST_ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def lock(instance: Instance) -> Instance:
    """In two statements: one that joins the revision and has to wait finds nothing where that was changed meanwhile."""
    Instance.objects.select_for_update(no_key=True).values_list("pk").get(pk=instance.pk)
    return Instance.objects.select_related("cloud", "app", "revision", "release").get(pk=instance.pk)


def bring_up(actor: User | None, locked: Instance, kind: OperationKind, **changes: Any) -> Operation:
    """To a new generation of what is wanted. Its address closes now, before the cluster hears of anything; except for
    another version of the app, for which the older one serves until the newer one does.

    One that is asleep takes its compute again, for which the caller holds the cloud's lock. Raises QuotaExceeded."""
    newer = "revision" in changes
    if locked.state == InstanceState.ASLEEP:
        cpu, memory = (changes.get(name, getattr(locked, name)) for name in ("cpu_millis", "memory_mib"))
        quota.require(locked.cloud, Quota(cpu, memory, 0, 0))
    drop_drains(subject=locked.pk)
    data_sleep.rouse(locked.cloud_id)
    for other in Operation.objects.filter(instance=locked, state__in=steps.OPEN):
        steps.cancel(other, "Something newer took its place.")
    fresh: dict[str, Any] = {"generation": locked.generation + 1, "state_reason": "", "log_tail": ""}
    more: list[tuple[str, str]] = []
    migration, copies = _migration(locked, kind, changes.get("revision")), _copies(locked, kind, changes)
    if copies:
        more.append(KEEP_STEP)
    if migration:
        more.append(MIGRATE_STEP)
    fresh |= {"update_error": "", "reverts": False, "migration": migration or (new_id("mig") if copies else "")}
    if not locked.copy_returns and (copies or locked.copy_id):
        fresh["copy_id"] = new_id("cpy")  # never that of an earlier update, which nothing may give back any more
    fresh |= {"wanted": Wanted.RUNNING, "awake_since": timezone.now()}
    move(locked, InstanceState.UPDATING, actor=actor.pk if actor else "", **{**fresh, **changes})
    locked.refresh_from_db(fields=["restart"])
    if not newer:
        withdraw(locked)
    titles = before_it(UPDATE_STEPS if newer else RESTART_STEPS, *more)
    done = () if newer else ("close",)
    operation = steps.open_operation(kind, locked.cloud, titles, actor=actor, instance=locked, done=done)
    moved(locked)
    return operation


def _migration(locked: Instance, kind: OperationKind, revision: Revision | None) -> str:
    """Of what is wanted now: that of a newer version; of the same one what is due still; none on the way back, since a
    version's commands lead to it from older ones, and have run."""
    if kind == OperationKind.ROLLBACK:
        return ""
    if revision is not None:
        return versions.migration_for(blueprint_of(revision))
    return versions.migration_for(blueprint_of(locked.revision)) if locked.migration else ""


def _copies(locked: Instance, kind: OperationKind, changes: Mapping[str, Any]) -> bool:
    """Whether a copy of the volume is made first: of what has something to go back to, and no older copy to come back."""
    if kind != OperationKind.UPDATE or not changes.get("reverts") or locked.copy_returns:
        return False
    return versions.is_copied(locked, blueprint_of(changes["revision"]))


def _configure(actor: User, locked: Instance, config: Mapping[str, str | None]) -> Operation | None:
    checked = check_config(blueprint_of(locked.revision), {name: value or "" for name, value in config.items()})
    merged = {name: value for name, value in {**locked.config, **checked}.items() if value}
    if merged == locked.config:
        return None
    require_still(locked)
    return bring_up(actor, locked, OperationKind.UPDATE, config=merged)


def _open_removal(actor: User, locked: Instance) -> Operation:
    withdraw(locked)
    operation = steps.open_operation(
        OperationKind.REMOVE, locked.cloud, REMOVE_STEPS, actor=actor, instance=locked, done=("close",)
    )
    moved(locked)
    return operation


def _removal_of(actor: User, locked: Instance) -> Operation:
    """The newest removal; a new one where the last gave up though the instance is still there."""
    last = locked.operations.filter(kind=OperationKind.REMOVE).order_by("-created_at").first()
    if last is not None and (last.state in steps.OPEN or locked.state == InstanceState.REMOVED):
        return last
    Instance.objects.filter(pk=locked.pk).update(generation=F("generation") + 1, state_reason="")
    locked.refresh_from_db(fields=["generation"])
    return _open_removal(actor, locked)


def withdraw(locked: Instance) -> None:
    locked.micros.update(upstream="", candidate="", phase="pending")


def moved(instance: Instance) -> None:
    feed.changed(instance.pk)
    announce(instance.cloud_id, instance.pk)
    enqueue_instance(instance.pk)
