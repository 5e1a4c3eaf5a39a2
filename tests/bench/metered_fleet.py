"""What it costs to know what ten thousand instances take, and what ten thousand clouds took in a month."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from unittest import mock

from k8s.kube import measuring as kubelets
from k8s.naming import micro_name
from k8s.specs import Sample
from provider.gate.usage import METER_EVERY_S, Meter
from tenants import metering
from tenants.models import Cell, Cloud, Plan, UsageMonth, User
from tenants.reconcile import cluster, measuring
from tenants.services import usage
from tests.bench.idle_fleet import Idleness

CLOUDS, APPS = 10_000, 5


class Metering:
    """Of the same fleet, of which every instance runs in a pod; the words of kubelets are made here, and read as theirs."""

    def __init__(self, fleet: Idleness) -> None:
        self.fleet, self.turn, self.began = fleet, 0, datetime.now(UTC)
        self.meter, self.sampler = Meter(fleet.gate.proxy, "bench"), measuring.Sampler()
        self.used = [1.0] * len(fleet.ids)
        self.gate()

    def gate(self) -> None:
        self.meter.read_at = time.monotonic() - METER_EVERY_S - 1
        self.meter.read(self.fleet.database)

    def prune(self) -> None:
        metering.prune()

    def sample(self) -> None:
        with mock.patch.object(cluster, "current", return_value=self), mock.patch.object(measuring, "timezone", self):
            self.sampler.sample()

    def samples(self) -> list[Sample]:
        return kubelets.parsed(self.page)

    def now(self) -> datetime:
        return self.began + self.turn * timedelta(minutes=1)

    def next_minute(self, busy: int) -> None:
        """What proxy and kubelets will say: so many had requests and computed, the others next to nothing."""
        self.turn += 1
        self.fleet.use(busy, requests=self.turn)
        self.used = [used + (0.37 if number < busy else 0.001) for number, used in enumerate(self.used)]
        self.page = list(_page(self.fleet.ids, self.used, self.now()))


def month_s() -> float:
    """Seconds until what each of so many clouds used in a month, app by app, is known: what an invoice run would ask."""
    plan, cell = Plan.objects.earliest("pk"), Cell.objects.get(name="local")
    users = User.objects.bulk_create(User(email=f"m{n}@e.org", handle=f"m{n}") for n in range(CLOUDS))
    clouds = Cloud.objects.bulk_create(
        Cloud(owner=user, cell=cell, plan=plan, namespace=f"fm-{number}") for number, user in enumerate(users)
    )
    since = metering.month_of(datetime.now(UTC))
    subjects = ("data", "builds", *(f"app{number}" for number in range(APPS)))
    rows = (
        UsageMonth(cloud=cloud, subject=name, since=since, cpu_us=1_000_000) for cloud in clouds for name in subjects
    )
    UsageMonth.objects.bulk_create(rows, batch_size=5_000)
    began = time.monotonic()
    seconds = sum(part.used.cpu_seconds for cloud in clouds for part in usage.parts(cloud))
    assert seconds == CLOUDS * len(subjects)
    return time.monotonic() - began


def _page(ids: list[str], used: list[float], at: datetime) -> Iterator[bytes]:
    ms = int(at.timestamp() * 1000)
    for number, instance_id in enumerate(ids):
        pod = f"{micro_name(instance_id, 'main')}-6f97f8c8dd-vvprt"
        labels = f'container="app",namespace="fh-{number // 10:016d}",pod="{pod}"'
        yield f"container_cpu_usage_seconds_total{{{labels}}} {used[number]:.6f} {ms}".encode()
        yield f"container_memory_working_set_bytes{{{labels}}} 4.1943040e+07 {ms}".encode()
        yield f"container_start_time_seconds{{{labels}}} 1.7639e+09 {ms}".encode()
