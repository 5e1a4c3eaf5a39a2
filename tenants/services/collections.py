"""Use-cases of collections and of keys to them. One transaction each; the data server hears of it afterwards."""

from collections.abc import Callable

from django.db import transaction
from django.db.models import F

from tenants import access, feed
from tenants.data_server import keys
from tenants.errors import Conflict, Refused
from tenants.live import announce
from tenants.models import Cloud, Collection, DataKey, DataServer, Instance, User
from tenants.reconcile.specs import derived_key
from tenants.services import quota
from tenants.states import CloudState, CollectionState, InstanceState, move
from tenants.tasks import enqueue_data_server

NAME_LIMIT = 60
COLLECTIONS_LIMIT = 1000
KEYS_LIMIT = 100
_LEAVING = (InstanceState.REMOVING, InstanceState.REMOVED)


@transaction.atomic
def create_collection(actor: User, name: str) -> Collection:
    """A free-standing one. Raises Refused naming the field, Conflict for a cloud that takes nothing or has too many."""
    checked = _name(name)
    cloud = quota.lock(access.cloud_of(actor).pk)
    if cloud.collections.count() >= COLLECTIONS_LIMIT:
        raise Conflict("too_many_collections", f"A cloud has at most {COLLECTIONS_LIMIT} collections.")
    return Collection.objects.create(cloud=cloud, name=checked, generation=_changed(cloud))


@transaction.atomic
def rename_collection(actor: User, collection: Collection, name: str) -> Collection:
    """Raises Refused naming the field."""
    checked = _name(name)
    locked = lock_collection(collection)
    if locked.name != checked:
        locked.name = checked
        locked.save(update_fields=["name"])
        _changed(locked.cloud)
    return locked


@transaction.atomic
def remove_collection(actor: User, collection: Collection) -> Collection:
    """With all its data, for good; its keys count for nothing from now on. Again: nothing more.

    Raises Conflict for the collection of an app that is installed.
    """
    locked = lock_collection(collection, removing=True)
    if locked.instance_id is not None:
        raise Conflict("collection_in_use", "An app uses it: remove the app, and its data with it.")
    if locked.state == CollectionState.ACTIVE:
        _remove(locked, actor)
    return locked


@transaction.atomic
def create_key(actor: User, collection: Collection, name: str) -> tuple[DataKey, str]:
    """A key to the whole collection, and its text, which is never shown again."""
    checked = _name(name)
    locked = lock_collection(collection)
    if locked.keys.count() >= KEYS_LIMIT:
        raise Conflict("too_many_keys", f"A collection has at most {KEYS_LIMIT} keys.")
    text = keys.new_key(locked.project_id)
    key = DataKey.objects.create(
        collection=locked,
        name=checked,
        prefix=text[: len(locked.project_id) + 5],
        sha256=keys.fingerprint(text),
        generation=_changed(locked.cloud),
    )
    return key, text


@transaction.atomic
def revoke_key(actor: User, collection: Collection, key: DataKey) -> None:
    """The gate refuses it within seconds. Again: nothing more."""
    locked = lock_collection(collection)
    if locked.keys.filter(pk=key.pk).delete()[0]:
        _changed(locked.cloud)


def give_collection(cloud: Cloud, instance: Instance, collection_id: str | None) -> Collection:
    """A new instance's data: the kept collection that was named, or a new one. In the transaction that locked the cloud.

    Raises Refused (field collection) for one that is not the cloud's, is being removed, or belongs to another app.
    """
    if collection_id is None:
        collection = Collection(cloud=cloud, name=instance.alias[:NAME_LIMIT])
    else:
        collection = kept_collection(cloud, collection_id)
        collection.key_version += 1  # what an earlier instance was given counts no more
    collection.instance = instance
    collection.key_sha256 = keys.fingerprint(derived_key(collection))
    collection.generation = _changed(cloud)
    collection.save()
    return collection


def give_missing_collections() -> int:
    """To instances from before there were collections; returns to how many. Safe to repeat and to interrupt.

    Nothing is restarted for it: an app gets its key with its next restart or update.
    """
    missing = Instance.objects.filter(collection__isnull=True).exclude(state__in=_LEAVING)
    there = missing.filter(cloud__state__in=(CloudState.CREATING, CloudState.ACTIVE))
    return sum(_give_missing(pk, cloud_id) for pk, cloud_id in there.values_list("pk", "cloud_id"))


@transaction.atomic
def _give_missing(instance_id: str, cloud_id: str) -> int:
    try:
        cloud = quota.lock(cloud_id)
    except Conflict:  # it was closed in between
        return 0
    rows = Instance.objects.filter(pk=instance_id, collection__isnull=True).exclude(state__in=_LEAVING)
    instance = rows.first()
    if instance is not None:
        give_collection(cloud, instance, None)
    return int(instance is not None)


def kept_collection(cloud: Cloud, collection_id: str) -> Collection:
    """One that an app may be given. Raises Refused (field collection)."""
    found = cloud.collections.filter(pk=collection_id, state=CollectionState.ACTIVE).first()
    if found is None:
        raise Refused("no_collection", "Your cloud has no such collection.", field="collection")
    if found.instance_id is not None:
        raise Refused("collection_in_use", "Another app uses that collection.", field="collection")
    return found


def take_collection(actor: User, instance: Instance, *, delete_data: bool) -> None:
    """Its app is being removed: the collection stays by itself, or goes. In the transaction that locked the instance."""
    collection = Collection.objects.select_for_update(no_key=True).filter(instance=instance).first()
    if collection is None:
        return
    collection.instance, collection.key_sha256 = None, ""
    collection.save(update_fields=["instance", "key_sha256"])
    if delete_data:
        _remove(collection, actor)
    else:
        _changed(collection.cloud)


def _remove(collection: Collection, actor: User) -> None:
    collection.keys.all().delete()
    move(collection, CollectionState.REMOVING, actor=actor.pk, generation=_changed(collection.cloud))


def lock_collection(
    collection: Collection, lock: Callable[[str], Cloud] = quota.lock, *, removing: bool = False
) -> Collection:
    """Clouds before collections, everywhere. Raises Conflict for one that is being removed, unless that is expected."""
    lock(collection.cloud_id)
    locked: Collection = (
        Collection.objects.select_for_update(of=("self",), no_key=True)
        .select_related("cloud__plan")
        .get(pk=collection.pk)
    )
    if locked.state == CollectionState.REMOVING and not removing:
        raise Conflict("collection_removed", "The collection is being removed.")
    return locked


def _changed(cloud: Cloud) -> int:
    """The cloud's data server, made where there is none, must hear of something. Returns the generation that says it."""
    server, is_new = DataServer.objects.get_or_create(cloud=cloud)
    if not is_new:
        DataServer.objects.filter(pk=server.pk).update(generation=F("generation") + 1, awake=True)
        server.refresh_from_db(fields=["generation"])
    feed.data_changed(cloud.pk)
    announce(cloud.pk, server.pk)
    enqueue_data_server(server.pk)
    return server.generation


def _name(name: str) -> str:
    cleaned = " ".join(name.split())
    if not cleaned or len(cleaned) > NAME_LIMIT or not cleaned.isprintable():
        raise Refused("invalid_name", f"A name has 1 to {NAME_LIMIT} printable characters.", field="name")
    return cleaned
