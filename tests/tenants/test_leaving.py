"""Who leaves takes everything along: exports out of clouds that are suspended or closing. The data server is real."""

from datetime import timedelta

import httpx
import pytest
from django.db import transaction
from django.utils import timezone

from tenants.errors import Conflict
from tenants.models import Cloud, Collection, DataServer, Export, HoldCause, Operation, User
from tenants.reconcile import closing, data_servers
from tenants.services import collections, contents, files, holds, items, leaving, quota, uploads
from tenants.services import transfers as services
from tenants.services.closing import close_account, reopen_account
from tenants.states import CloudState, DataServerState, WorkState, move
from tests.tenants.machine import Machine, cluster
from tests.tenants.test_transfers import FILES, exported, filled, hashes, zip_of
from tests.worlds import active_person, cloud_of, settle

pytestmark = pytest.mark.django_db
__all__ = ["cluster"]


@pytest.fixture
def owner(cluster: Machine) -> User:
    return active_person(cluster)


@pytest.fixture
def mine(owner: User) -> Collection:
    return filled(owner, "mine")


def suspend(owner: User) -> None:
    move(cloud_of(owner), CloudState.SUSPENDED)
    settle()
    assert DataServer.objects.get().state == DataServerState.STOPPED


def close(owner: User) -> None:
    close_account(owner)
    settle()
    assert DataServer.objects.get().state == DataServerState.STOPPED


def test_in_a_cloud_that_is_asleep_its_data_is_read_and_nothing_is_changed(owner: User, mine: Collection) -> None:
    with transaction.atomic():
        holds.hold(quota.locked(owner.cloud.pk), HoldCause.PAYMENT, CloudState.ASLEEP, "It is not paid for.")
    settle()
    assert DataServer.objects.get().state == DataServerState.STOPPED
    there = Collection.objects.select_related("cloud").get(pk=mine.pk)
    with pytest.raises(contents.Away):
        items.get(there, "letters", "k1")  # a page says so, and looks again
    settle()
    assert items.get(there, "letters", "k1")["n"] == 1
    with pytest.raises(Conflict, match="asleep"):
        items.delete(there, "letters", "k1")
    with transaction.atomic():
        holds.release(quota.locked(owner.cloud.pk), HoldCause.PAYMENT)
    settle()
    items.delete(Collection.objects.select_related("cloud").get(pk=mine.pk), "letters", "k1")


@pytest.mark.parametrize("leave", [suspend, close])
def test_everything_can_be_fetched_and_nobody_else_gets_in(
    owner: User, mine: Collection, cluster: Machine, leave: object
) -> None:
    _, key = collections.create_key(owner, mine, "outside")
    settle()
    leave(owner)  # type: ignore[operator]
    cluster.kill(DataServer.objects.get().pk)  # as a cluster does with what it stops
    export = exported(owner, mine)
    assert export.operation.state == WorkState.SUCCEEDED, export.operation.error
    assert set(hashes(zip_of(export))) == {"bases/letters.json", *(f"drives/photos/{name}" for name in FILES)}
    server = DataServer.objects.get()
    assert (server.state, server.needed_until is not None) == (DataServerState.RUNNING, True)
    asked = httpx.get(
        f"http://{server.upstream}/v1/{mine.project_id}/letters/items/k1", headers={"X-API-Key": key}, trust_env=False
    )
    assert asked.status_code == 401
    there = Collection.objects.select_related("cloud").get(pk=mine.pk)
    assert items.get(there, "letters", "k1")["n"] == 1
    for change in (
        lambda: services.wipe_collection(owner, there),
        lambda: items.set_value(there, "letters", "k1", "n", "number", "2"),
        lambda: items.add(there, "letters", '{"key": "new"}'),
        lambda: items.change(there, "letters", "k1", '{"n": 2}'),
        lambda: items.delete(there, "letters", "k1"),
        lambda: files.delete(there, "photos", "empty"),
        lambda: files.rename(there, "photos", "empty", "other"),
        lambda: files.begin(there, "photos", "new", ""),
        lambda: contents.drop(there, "bases", "letters"),
        lambda: contents.make(there, "drives", "new"),
        lambda: uploads.begin(owner, there, 9, ""),
    ):
        with pytest.raises(Conflict):
            change()
    assert items.get(there, "letters", "k1")["n"] == 1


def test_it_is_stopped_again_when_there_was_time_enough(owner: User, mine: Collection, cluster: Machine) -> None:
    suspend(owner)
    exported(owner, mine)
    server = DataServer.objects.get()
    assert cluster.specs[server.pk].replicas == 1 and list(data_servers.unsettled()) == []
    DataServer.objects.update(needed_until=timezone.now() - timedelta(seconds=1))
    settle()
    server.refresh_from_db()
    assert (server.state, server.needed_until) == (DataServerState.STOPPED, None)
    assert cluster.specs[server.pk].replicas == 0
    export = Export.objects.select_related("collection__cloud").get()
    assert not leaving.is_up(export.collection.cloud)


def test_whoever_fetches_has_more_time(owner: User, mine: Collection) -> None:
    suspend(owner)
    exported(owner, mine)
    soon = timezone.now() + timedelta(minutes=1)
    DataServer.objects.update(needed_until=soon)
    assert leaving.is_up(cloud_of(owner))
    until = DataServer.objects.get().needed_until
    assert until is not None and until > soon + timedelta(minutes=30)


def test_an_open_cloud_gets_its_keys_back(owner: User, mine: Collection) -> None:
    _, key = collections.create_key(owner, mine, "outside")
    suspend(owner)
    exported(owner, mine)
    move(cloud_of(owner), CloudState.ACTIVE)
    settle()
    server = DataServer.objects.get()
    assert (server.state, server.needed_until) == (DataServerState.RUNNING, None)
    asked = httpx.get(
        f"http://{server.upstream}/v1/{mine.project_id}/letters/items/k1", headers={"X-API-Key": key}, trust_env=False
    )
    assert asked.status_code == 200


def test_an_account_that_is_kept_after_all_goes_on(owner: User, mine: Collection) -> None:
    close(owner)
    exported(owner, mine)
    reopen_account(owner)
    settle()
    assert cloud_of(owner).state == CloudState.ACTIVE
    assert DataServer.objects.get().needed_until is None


def test_nothing_is_brought_up_once_erasure_has_begun(owner: User, mine: Collection) -> None:
    close(owner)
    exported(owner, mine)
    Cloud.objects.update(erase_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(Conflict):
        services.start_export(owner, mine)
    Operation.objects.update(not_before=None)
    closing.advance(cloud_of(owner))
    assert DataServer.objects.filter(needed_until__isnull=False).count() == 0


def test_a_fetch_does_not_outlast_the_published_date(owner: User, mine: Collection) -> None:
    close(owner)
    date = timezone.now() + timedelta(minutes=10)
    Cloud.objects.update(erase_at=date)
    exported(owner, mine)
    assert DataServer.objects.get().needed_until == date
