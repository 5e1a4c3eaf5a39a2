"""What is left of somebody once their cloud is gone: rows without anything personal, which other rows point at."""

import shutil

from allauth.account.models import EmailAddress
from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from apps_catalog import erasing
from apps_catalog.models import AppReport
from apps_catalog.store import Store
from tenants import feed, metering, steps
from tenants.live import announce
from tenants.models import (
    ApiToken,
    AppKey,
    AppSignIn,
    Cloud,
    Collection,
    DataServer,
    IdempotencyRecord,
    Instance,
    Operation,
    RetiredHandle,
    Share,
    SignInCode,
    User,
    Wanted,
)
from tenants.reconcile import farewell
from tenants.states import CloudState, InstanceState, move


def forget(cloud: Cloud, operation: Operation) -> None:
    """Erase files, then rows, then say that it is done. Repeating is safe until the last transaction, and after it."""
    owner = User.objects.get(pk=cloud.owner_id)
    if not farewell.receipt_sent(cloud, owner, operation):
        return
    store = Store(settings.STORE_DIR)
    for digest in erasing.files_of(owner.pk, kept=_installed_by_others(cloud)):
        erasing.delete_file(store, digest, owner.pk)
    shutil.rmtree(store.root / "results" / cloud.pk, ignore_errors=True)
    _forget_rows(cloud, owner, operation)


@transaction.atomic
def _forget_rows(cloud: Cloud, owner: User, operation: Operation) -> None:
    row = Cloud.objects.select_for_update(no_key=True).get(pk=cloud.pk)
    if row.state != CloudState.CLOSING:
        return
    _forget_instances(row)
    _forget_data(row)
    metering.forget(row)
    erasing.withdraw(owner.pk, kept=_installed_by_others(cloud))
    _forget_person(owner)
    move(row, CloudState.CLOSED, closed_at=timezone.now(), observed_generation=row.generation)
    steps.succeed(operation)
    announce(row.pk, row.pk)


def _forget_instances(cloud: Cloud) -> None:
    for instance in cloud.instances.exclude(state=InstanceState.REMOVED):
        if instance.state != InstanceState.REMOVING:
            move(instance, InstanceState.REMOVING)
        generation = instance.generation
        move(
            instance,
            InstanceState.REMOVED,
            wanted=Wanted.REMOVED,
            removed_at=timezone.now(),
            observed_generation=generation,
        )
        for operation in instance.operations.filter(state__in=steps.OPEN):
            steps.succeed(operation)
        instance.micros.all().delete()
        instance.actions.all().delete()
        feed.changed(instance.pk)
    AppKey.objects.filter(instance__cloud=cloud).delete()
    Share.objects.filter(instance__cloud=cloud).delete()
    blank = {"config": {}, "log_tail": "", "state_reason": "", "update_error": "", "alias": "erased"}
    cloud.instances.update(retry_at=None, reverts=False, previous_revision=None, previous_release=None, **blank)


def _forget_data(cloud: Cloud) -> None:
    """What the rows described went with the namespace."""
    Collection.objects.filter(cloud=cloud).delete()
    DataServer.objects.filter(cloud=cloud).delete()
    feed.data_changed(cloud.pk)


def _forget_person(owner: User) -> None:
    """The address may sign up again; the handle is nobody's any more (docs/people/using.md)."""
    RetiredHandle.objects.get_or_create(sha256=RetiredHandle.digest(owner.handle))
    AppReport.objects.filter(reporter=owner).delete()
    _forget_invitations(owner)
    for model in (ApiToken, AppSignIn, SignInCode, EmailAddress):
        model.objects.filter(user=owner).delete()
    IdempotencyRecord.objects.filter(scope=owner.pk).delete()
    owner.email, owner.handle = f"{owner.pk}@closed.invalid", f"closed-{owner.pk}"[:32]
    owner.is_active, owner.session_epoch = False, owner.session_epoch + 1
    owner.set_unusable_password()
    owner.save()


def _forget_invitations(owner: User) -> None:
    """To other people's apps: those they accepted, and those to an address of theirs."""
    addresses = [owner.email, *EmailAddress.objects.filter(user=owner).values_list("email", flat=True)]
    theirs = Share.objects.filter(Q(user=owner) | Q(email__in={address.lower() for address in addresses}))
    for instance_id in set(theirs.values_list("instance_id", flat=True)):
        feed.changed(instance_id)
    theirs.delete()


def _installed_by_others(cloud: Cloud) -> frozenset[str]:
    """Revisions of the owner's apps that run, or may run, in other people's clouds: what they may go back to too."""
    others = Instance.objects.filter(app__developer_id=cloud.owner_id).exclude(cloud=cloud)
    pairs = others.exclude(state=InstanceState.REMOVED).values_list("revision_id", "previous_revision_id")
    return frozenset(revision_id for pair in pairs for revision_id in pair if revision_id)
