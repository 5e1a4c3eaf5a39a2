"""What the cluster refuses is said in a sentence, asked again ever more rarely, and mends itself when the cause is gone."""

from datetime import timedelta

import pytest
from django.utils import timezone

from k8s.errors import Permanent, Temporary
from k8s.specs import MicroPhase
from tenants.models import Cloud, Instance, Operation, User
from tenants.reconcile import again, clouds, instances, unsettled
from tenants.services.instances import install_app, remove_instance
from tenants.states import CloudState, InstanceState, WorkState
from tests.worlds import MemoryCluster, active_person, new_person, released, settle

pytestmark = pytest.mark.django_db
REFUSED = "exceeded quota: apps"


def installed(cluster: MemoryCluster) -> tuple[User, Instance]:
    slug = released(cluster).app.slug
    person = active_person(cluster)
    return person, install_app(person, app_slug=slug)[0]


def time_passes(row: Instance | Cloud) -> None:
    type(row).objects.filter(pk=row.pk).update(retry_at=timezone.now() - timedelta(seconds=1))


def refused(cluster: MemoryCluster, times: int = 1) -> Instance:
    _, instance = installed(cluster)
    cluster.break_before["apply_instance"] = [Permanent(REFUSED)] * times
    settle()
    instance.refresh_from_db()
    return instance


def test_a_refused_install_says_why_and_when_it_is_tried_again(cluster: MemoryCluster) -> None:
    instance = refused(cluster)
    assert instance.state == InstanceState.FAILED
    assert instance.state_reason == "Exceeded quota: apps. It is tried again by itself for about a day."
    assert instance.retry_at is not None and instance.retry_at > timezone.now()


def test_it_is_left_alone_until_then(cluster: MemoryCluster) -> None:
    instance = refused(cluster)
    calls = len(cluster.calls)
    settle()
    assert instance.pk not in unsettled.instances()
    assert len(cluster.calls) == calls


def test_it_runs_by_itself_when_the_cause_is_gone(cluster: MemoryCluster) -> None:
    instance = refused(cluster)
    time_passes(instance)
    settle()
    instance.refresh_from_db()
    assert (instance.state, instance.state_reason, instance.retry_at, instance.retries) == (
        InstanceState.RUNNING,
        "",
        None,
        0,
    )


def test_each_refusal_makes_the_next_wait_longer_until_it_is_over(cluster: MemoryCluster) -> None:
    instance = refused(cluster, times=100)
    waits = []
    for _ in range(again.TRIES + 3):
        instance.refresh_from_db()
        if instance.retry_at is None:
            break
        waits.append((instance.retry_at - timezone.now()).total_seconds())
        time_passes(instance)
        instances.reconcile(instance.pk)
    assert waits[:4] == pytest.approx([60, 120, 240, 480], abs=5)
    assert max(waits) <= 3600
    assert len(waits) == again.TRIES
    assert "tried again" not in instance.state_reason
    assert instance.pk not in unsettled.instances()


def test_an_app_that_breaks_down_itself_is_not_tried_again_by_us(cluster: MemoryCluster) -> None:
    _, instance = installed(cluster)
    cluster.phase = MicroPhase.FAILED
    settle()
    instance.refresh_from_db()
    assert (instance.state, instance.retry_at) == (InstanceState.FAILED, None)
    assert "tried again" not in instance.state_reason


@pytest.mark.parametrize("phases", [(MicroPhase.FAILED,), (MicroPhase.FAILED, MicroPhase.STARTING)])
def test_an_app_that_the_cluster_gets_to_run_later_is_running_again(
    cluster: MemoryCluster, phases: tuple[MicroPhase, ...]
) -> None:
    """An image that was missing, a node that was full: the cluster goes on by itself, and the observer tells."""
    _, instance = installed(cluster)
    for phase in phases:
        cluster.phase = phase
        instances.reconcile(instance.pk)
    instance.refresh_from_db()
    assert instance.state == InstanceState.FAILED
    cluster.phase = MicroPhase.READY
    instances.reconcile(instance.pk)
    instance.refresh_from_db()
    assert (instance.state, instance.state_reason) == (InstanceState.RUNNING, "")


def test_what_was_refused_and_then_breaks_down_by_itself_keeps_its_own_words(cluster: MemoryCluster) -> None:
    instance = refused(cluster)
    cluster.phase = MicroPhase.FAILED
    time_passes(instance)
    settle()
    instance.refresh_from_db()
    assert instance.state_reason == "It does not listen on its port."
    assert instance.retry_at is None


def test_a_cluster_that_was_away_too_long_for_an_install_is_asked_again(cluster: MemoryCluster) -> None:
    _, instance = installed(cluster)
    cluster.break_before["apply_instance"] = [Temporary("the cluster is out of reach")] * 40
    for _ in range(20):
        Operation.objects.update(not_before=None)
        instances.reconcile(instance.pk)
    instance.refresh_from_db()
    assert instance.state == InstanceState.FAILED
    assert instance.state_reason.startswith("The cluster is out of reach. It is tried again")
    cluster.break_before.clear()
    time_passes(instance)
    settle()
    instance.refresh_from_db()
    assert instance.state == InstanceState.RUNNING


def test_a_cloud_that_could_not_be_made_is_made_later(cluster: MemoryCluster) -> None:
    cluster.break_before["ensure_cloud"] = [Permanent("a webhook said no"), Temporary("away")]
    cloud = new_person().cloud
    settle()
    cloud.refresh_from_db()
    assert cloud.state_reason.startswith("A webhook said no. It is tried again")
    assert cloud.pk not in unsettled.clouds()
    time_passes(cloud)
    clouds.reconcile(cloud.pk)  # which meets a cluster that is away
    cloud.refresh_from_db()
    assert (cloud.state, cloud.retries) == (CloudState.CREATING, 2)
    time_passes(cloud)
    settle()
    cloud.refresh_from_db()
    assert (cloud.state, cloud.state_reason, cloud.retry_at) == (CloudState.ACTIVE, "", None)


def test_a_removal_that_was_refused_ends_by_itself(cluster: MemoryCluster) -> None:
    person, instance = installed(cluster)
    settle()
    cluster.break_before["delete_instance"] = [Permanent("forbidden")]
    operation = remove_instance(person, Instance.objects.get(pk=instance.pk))
    settle()
    operation.refresh_from_db()
    assert operation.state == WorkState.FAILED
    time_passes(instance)
    settle()
    instance.refresh_from_db()
    assert instance.state == InstanceState.REMOVED
