"""Waking on one machine: whoever decides about the request starts what it asks for, and no broker is waited for."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.utils import timezone
from pytest_django.fixtures import Settings

from provider.gate import waking
from tenants.models import Drain, DrainAnswer, Event, Gate, Instance
from tenants.reconcile import instances as reconciler
from tenants.services import sleeping
from tenants.services.instances import install_app
from tenants.states import InstanceState
from tests.worlds import MemoryCluster, active_person, released, settle


@pytest.fixture
def begun(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Waits until what was begun beside the answers is done: by one thread, which takes it in turn."""
    settings.WAKES_AT_ONCE = True
    with ThreadPoolExecutor(max_workers=1) as one:
        monkeypatch.setattr(waking, "_risers", one)
        yield lambda: one.submit(lambda: connection.close()).result(60)
        one.submit(lambda: connection.close())


@pytest.fixture
def asleep(races: None, cluster: MemoryCluster) -> Instance:
    Gate.objects.create(id="one", cell_id=django_settings.DEFAULT_CELL, seen_at=timezone.now())
    instance, _ = install_app(active_person(cluster), app_slug=released(cluster).app.slug)
    settle()
    sleeping.fall_asleep(instance.pk)
    DrainAnswer.objects.create(drain=Drain.objects.get(subject=instance.pk), gate_id="one", open=0)
    sleeping.finish_drains()
    settle()
    return Instance.objects.select_related("cloud").get(pk=instance.pk)


def test_whoever_asks_for_it_has_it_started_without_any_task(
    asleep: Instance, cluster: MemoryCluster, begun: Callable[[], None]
) -> None:
    assert cluster.specs[asleep.pk].replicas == 0
    assert [waking.awake(asleep) for _ in range(3)] == [InstanceState.WAKING] * 3
    begun()
    assert cluster.specs[asleep.pk].replicas == 1
    assert Event.objects.filter(subject=asleep.pk, after=InstanceState.WAKING).count() == 1


def test_where_the_process_has_no_right_to_it_is_left_to_a_worker(
    asleep: Instance, cluster: MemoryCluster, begun: Callable[[], None], settings: Settings
) -> None:
    settings.WAKES_AT_ONCE = False
    assert waking.awake(asleep) == InstanceState.WAKING
    begun()
    assert cluster.specs[asleep.pk].replicas == 0
    settle()
    assert cluster.specs[asleep.pk].replicas == 1


def test_one_that_dies_at_it_leaves_it_to_the_task_and_the_sweep(
    asleep: Instance, cluster: MemoryCluster, begun: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(reconciler, "_apply", lambda *_: (_ for _ in ()).throw(RuntimeError("killed here")))
        assert waking.awake(asleep) == InstanceState.WAKING
        begun()
    assert cluster.specs[asleep.pk].replicas == 0
    settle()
    assert Instance.objects.get(pk=asleep.pk).state == InstanceState.RUNNING
