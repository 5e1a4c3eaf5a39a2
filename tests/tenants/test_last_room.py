"""Races for the last unit of a quota: looked at all the while, neither database nor cluster ever holds more than it."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from django.db import connection, transaction

from k8s.specs import Role
from tenants.errors import QuotaExceeded
from tenants.models import Cloud, Instance, Operation
from tenants.models.plans import QUOTA_FIELDS
from tenants.services import clouds
from tenants.services.instances import install_app
from tenants.services.quota import use_of
from tests.worlds import MemoryCluster, active_person, released, settle

AT_ONCE = 50


@dataclass
class Samples:
    """number: how often was looked. over: what was seen above its limit. most: instances seen in (rows, cluster)."""

    number: int = 0
    over: list[str] = field(default_factory=list)
    most: tuple[int, int] = (0, 0)

    def look(self, cloud_id: str, cluster: MemoryCluster) -> None:
        with transaction.atomic():  # one picture of the rows, whatever is committed meanwhile
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cloud = Cloud.objects.select_related("plan").get(pk=cloud_id)
            use, limit = use_of(cloud), cloud.quota
        self.over += [
            f"rows: {getattr(use, name)} of {getattr(limit, name)} {name}"
            for name in QUOTA_FIELDS
            if getattr(use, name) > getattr(limit, name)
        ]
        known = cluster.clouds[cloud_id]
        there = [spec for spec in list(cluster.specs.values()) if spec.cloud_id == cloud_id and spec.replicas]
        apps = [spec for spec in there if spec.role is not Role.DATA]
        memory = sum(micro.limits.memory_mib for spec in apps for micro in spec.micros)
        cpu = sum(micro.limits.cpu_millis for spec in apps for micro in spec.micros)
        for name, amount in (("instances", len(apps)), ("memory_mib", memory), ("cpu_millis", cpu)):
            if amount > getattr(known, name):
                self.over.append(f"cluster: {amount} of {getattr(known, name)} {name}")
        self.most = (max(self.most[0], use.instances), max(self.most[1], len(apps)))
        self.number += 1


@contextmanager
def watched(cloud_id: str, cluster: MemoryCluster) -> Iterator[Samples]:
    """Look at rows and cluster without pause, while workers bring the one to the other."""
    samples, over = Samples(), threading.Event()
    failures: list[BaseException] = []

    def again_and_again(work: object) -> None:
        try:
            while not over.is_set():
                work()  # type: ignore[operator]
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [
        threading.Thread(target=again_and_again, args=(lambda: samples.look(cloud_id, cluster),)),
        threading.Thread(target=again_and_again, args=(settle,)),
    ]
    for thread in threads:
        thread.start()
    try:
        yield samples
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert not failures


@pytest.mark.parametrize(
    ("resource", "room"), [("instances", 2), ("memory_mib", 1100), ("cpu_millis", 400), ("storage_mib", 1499)]
)
def test_fifty_installs_at_once_with_room_for_one_make_one(
    races: None, cluster: MemoryCluster, resource: str, room: int
) -> None:
    release, user = released(cluster), active_person(cluster)
    install_app(user, app_slug=release.app.slug)
    none: dict[str, int | None] = dict.fromkeys(QUOTA_FIELDS)
    clouds.set_quota(None, user.cloud, **{**none, resource: room})
    settle()
    start = threading.Barrier(AT_ONCE)

    def attempt(_: int) -> bool:
        try:
            start.wait(120)
            install_app(user, app_slug=release.app.slug)
            return True
        except QuotaExceeded as refusal:
            assert refusal.detail["resource"] == resource
            return False
        finally:
            connection.close()

    with watched(user.cloud.pk, cluster) as samples, ThreadPoolExecutor(AT_ONCE) as pool:
        made = list(pool.map(attempt, range(AT_ONCE)))
    settle()
    assert sum(made) == 1
    assert Instance.objects.filter(state="running").count() == 2
    assert Operation.objects.filter(kind="install").count() == 2  # a refusal leaves nothing
    assert samples.over == []
    assert samples.number >= 10
    samples.look(user.cloud.pk, cluster)
    assert samples.most == (2, 2) and samples.over == []


def test_a_look_at_too_much_is_seen_as_such(races: None, cluster: MemoryCluster) -> None:
    """That the watcher above would notice."""
    release, user = released(cluster), active_person(cluster)
    for _ in range(2):
        install_app(user, app_slug=release.app.slug)
    settle()
    none: dict[str, int | None] = dict.fromkeys(QUOTA_FIELDS)
    clouds.set_quota(None, user.cloud, **{**none, "instances": 1, "memory_mib": 600})
    settle()
    samples = Samples()
    samples.look(user.cloud.pk, cluster)
    assert samples.over == [
        "rows: 1024 of 600 memory_mib",
        "rows: 2 of 1 instances",
        "cluster: 2 of 1 instances",
        "cluster: 1024 of 600 memory_mib",
    ]
