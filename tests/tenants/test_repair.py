"""What somebody altered in the cluster comes back, and what could not be looked at is looked at again."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection

from k8s.errors import Permanent, Temporary
from k8s.specs import Change
from provider.management.commands.observe import take
from tenants.models import Cloud
from tenants.reconcile.advisory import held
from tenants.reconcile.retries import Retries
from tenants.states import CloudState
from tests.tenants.test_remove_and_restart import running
from tests.worlds import MemoryCluster

pytestmark = pytest.mark.django_db


@contextmanager
def held_elsewhere(name: str) -> Iterator[None]:
    taken, over = threading.Event(), threading.Event()

    def hold() -> None:
        with held(name):
            taken.set()
            over.wait(30)
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert taken.wait(10)
    yield
    over.set()
    thread.join()


def test_an_altered_instance_is_applied_again_and_others_are_not(cluster: MemoryCluster) -> None:
    instance = running(cluster)
    cluster.calls.clear()
    assert take(Change(instance.cloud_id, instance.pk))
    assert cluster.calls == []
    assert take(Change(instance.cloud_id, instance.pk, altered=True))
    assert cluster.calls == ["apply_instance"]


def test_an_altered_cloud_is_made_again_unless_nobody_lives_there(cluster: MemoryCluster) -> None:
    cloud_id = running(cluster).cloud_id
    cluster.clouds.clear()
    assert take(Change(cloud_id, altered=True))
    assert list(cluster.clouds) == [cloud_id]
    Cloud.objects.filter(pk=cloud_id).update(state=CloudState.CLOSED)
    cluster.clouds.clear()
    assert take(Change(cloud_id, altered=True))
    assert take(Change("cldunknown", altered=True))
    assert cluster.clouds == {}


@pytest.mark.parametrize(("error", "done"), [(Temporary("busy"), False), (Permanent("refused"), True)])
def test_a_repair_that_did_not_work_is_tried_again_if_that_may_help(
    cluster: MemoryCluster, error: Exception, done: bool
) -> None:
    instance = running(cluster)
    for verb, change in (
        ("apply_instance", Change(instance.cloud_id, instance.pk, altered=True)),
        ("ensure_cloud", Change(instance.cloud_id, altered=True)),
    ):
        cluster.break_before[verb] = [error]
        assert take(change) is done


@pytest.mark.django_db(transaction=True)
def test_what_somebody_else_is_at_just_now_is_looked_at_again(cluster: MemoryCluster, races: None) -> None:
    instance = running(cluster)
    with held_elsewhere(f"instance:{instance.pk}"):
        assert not take(Change(instance.cloud_id, instance.pk, altered=True))
    assert take(Change(instance.cloud_id, instance.pk, altered=True))


def test_a_retry_waits_longer_each_time_and_keeps_that_it_was_altered() -> None:
    now = [0.0]
    retries, change = Retries(lambda: now[0]), Change("c", "i", altered=True)
    assert retries.wait_s(60) == 60
    pauses = []
    for _ in range(8):
        retries.note(Change("c", "i"), done=False) if pauses else retries.note(change, done=False)
        pauses.append(retries.wait_s(60))
        assert retries.due() == []
        now[0] += pauses[-1]
        assert [(each, each.altered) for each in retries.due()] == [(change, True)]
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30]
    retries.note(change, done=True)
    assert (retries.due(), retries.wait_s(60)) == ([], 60)
