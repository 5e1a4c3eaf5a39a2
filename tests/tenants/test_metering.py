"""Whatever happens to those who count and to those who read, usage is what was used."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction
from django.db.models import F, Sum
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from apps_catalog.models import Release
from k8s.errors import Temporary
from k8s.specs import Sample
from tenants import metering
from tenants.metering import MEASURES, Reading
from tenants.models import DataServer, Instance, MeterReading, UsageCount, UsageEvent, UsageHour, UsageMonth
from tenants.reconcile import measuring
from tenants.services.instances import install_app
from tests.worlds import MemoryCluster, active_person, cloud_of, released

pytestmark = pytest.mark.django_db
LATE = datetime(2026, 3, 31, 22, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def instance(cluster: MemoryCluster) -> Instance:
    release: Release = released(cluster)
    return install_app(active_person(cluster), app_slug=release.app.slug)[0]


def sums(model: type[UsageHour] | type[UsageMonth], instance: Instance) -> dict[str, int]:
    rows = model.objects.filter(cloud_id=instance.cloud_id, subject=instance.pk)
    return {name: value or 0 for name, value in rows.aggregate(**{name: Sum(name) for name in MEASURES}).items()}


def test_a_reading_that_comes_again_adds_nothing_and_one_that_was_missed_is_made_up(instance: Instance) -> None:
    for minute, total in ((0, 5), (0, 5), (1, 7), (4, 20)):
        metering.record([Reading("pod", instance.pk, cpu_us=total, memory_bytes=10)], LATE + minute * MINUTE)
    assert sums(UsageHour, instance) == sums(UsageMonth, instance)
    assert sums(UsageHour, instance)["cpu_us"] == 20
    assert sums(UsageHour, instance)["memory_byte_s"] == 10 * 4 * 60


def test_a_counter_that_began_anew_counts_from_nothing(instance: Instance) -> None:
    for minute, total in enumerate((50, 80, 3, 9)):
        metering.record([Reading("pod", instance.pk, requests=total)], LATE + minute * MINUTE)
    assert sums(UsageMonth, instance)["requests"] == 80 + 9


def test_hours_and_months_are_told_apart_in_utc(instance: Instance) -> None:
    for hours in range(4):
        metering.record([Reading("pod", instance.pk, bytes_out=100 * (hours + 1))], LATE + timedelta(hours=hours))
    assert list(UsageHour.objects.order_by("since").values_list("since__hour", "bytes_out")) == [
        (22, 100),
        (23, 100),
        (0, 100),
        (1, 100),
    ]
    assert list(UsageMonth.objects.order_by("since").values_list("since__month", "bytes_out")) == [(3, 200), (4, 200)]


def test_what_has_no_row_is_passed_over_beside_what_has(instance: Instance) -> None:
    metering.record([Reading("a", "insstranger", cpu_us=9), Reading("b", instance.pk, cpu_us=2)], LATE)
    assert sums(UsageMonth, instance)["cpu_us"] == 2
    assert MeterReading.objects.count() == 1


def test_micros_add_up_and_builds_count_for_their_developer(instance: Instance) -> None:
    revision, developer = instance.revision, instance.app.developer
    metering.record(
        [
            Reading("front", instance.pk, cpu_us=2),
            Reading("back", instance.pk, cpu_us=3),
            Reading("build", revision.pk, cpu_us=11),
        ],
        LATE,
    )
    assert sums(UsageMonth, instance)["cpu_us"] == 5
    build = UsageMonth.objects.get(cloud=cloud_of(developer))
    assert (build.subject, build.cpu_us) == ("builds", 11)
    assert UsageCount.objects.get(cloud=cloud_of(developer), subject="builds", what="build").count == 1


def test_an_event_counts_with_the_transaction_it_belongs_to(instance: Instance) -> None:
    def wake() -> None:
        with transaction.atomic():
            metering.count(instance.cloud_id, instance.pk, UsageEvent.WAKE)
            if UsageCount.objects.get(what="wake").count == 2:
                raise RuntimeError("killed before it is over")

    wake()
    with pytest.raises(RuntimeError):
        wake()
    assert UsageCount.objects.get(subject=instance.pk, what="wake").count == 1


def test_what_was_not_read_for_a_week_and_hours_of_old_go_and_months_stay(instance: Instance) -> None:
    metering.record([Reading("pod", instance.pk, cpu_us=5)], LATE - timedelta(days=400))
    metering.prune()
    assert not MeterReading.objects.exists()
    assert not UsageHour.objects.exists()
    assert sums(UsageMonth, instance)["cpu_us"] == 5


@dataclass
class Counter:
    """A process that is counted. True to life: it counts from its start, and somebody reads now and then."""

    source: str
    starts: int = 0
    value: int = 0
    since_start: list[int] = field(default_factory=list)


_STEPS = some.lists(
    some.one_of(
        some.tuples(some.just("work"), some.integers(0, 3), some.integers(1, 10**9)),
        some.tuples(some.just("restart"), some.integers(0, 3), some.just(0)),
        some.tuples(some.just("read"), some.integers(0, 3), some.just(0)),
        some.tuples(some.just("read again"), some.integers(0, 3), some.just(0)),
        some.tuples(some.just("read and be killed"), some.integers(0, 3), some.just(0)),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=_STEPS)
def test_usage_is_what_was_read_of_each_life_whatever_happens_in_between(
    instance: Instance, steps: list[tuple[str, int, int]]
) -> None:
    UsageHour.objects.all().delete()
    UsageMonth.objects.all().delete()
    MeterReading.objects.all().delete()
    counters = [Counter(f"pod{number}") for number in range(4)]
    counted: dict[str, int] = {}  # what a life stood at when it was last read for good
    batch: list[Reading] = []
    at = LATE
    for what, number, amount in steps:
        counter, at = counters[number], at + MINUTE
        if what == "work":
            counter.value += amount
        elif what == "restart":
            counter.starts, counter.value = counter.starts + 1, 0
        elif what == "read again":
            metering.record(batch, at - MINUTE)
        else:
            batch = [Reading(f"{c.source}@{c.starts}", instance.pk, cpu_us=c.value) for c in counters]
            if what == "read":
                metering.record(batch, at)
            else:
                with transaction.atomic():
                    metering.record(batch, at)
                    transaction.set_rollback(True)
                batch = []
            if what == "read":
                counted |= {reading.source: reading.cpu_us for reading in batch}
    assert sums(UsageHour, instance)["cpu_us"] == sums(UsageMonth, instance)["cpu_us"] == sum(counted.values())


def test_a_round_reads_every_process_and_what_data_servers_store(
    cluster: MemoryCluster, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = DataServer.objects.get(cloud=instance.cloud)
    DataServer.objects.filter(pk=server.pk).update(used_bytes=1000)
    readings = iter([(5, 10), (9, 10)])

    def samples() -> list[Sample]:
        cpu_us, memory = next(readings)
        return [Sample(instance.pk, "pod", cpu_us, memory), Sample(server.pk, "data", cpu_us, memory)]

    monkeypatch.setattr(cluster, "samples", samples)
    measuring.Sampler().sample()
    MeterReading.objects.update(at=F("at") - MINUTE)
    measuring.Sampler().sample()
    assert sums(UsageMonth, instance)["cpu_us"] == 9
    stored = UsageMonth.objects.get(cloud=instance.cloud, subject="data")
    assert (stored.cpu_us, round(stored.storage_byte_s, -3)) == (9, 60_000)


@dataclass
class Watched:
    """What processes stand at, minute by minute, for a sampler whose clock goes as the test says."""

    cluster: MemoryCluster
    monkeypatch: pytest.MonkeyPatch
    sampler: measuring.Sampler = field(default_factory=measuring.Sampler)
    minutes: int = 0

    def minute(self, *samples: Sample) -> int:
        """A minute later; how many rows were written."""
        self.minutes += 1
        now = LATE + self.minutes * MINUTE
        self.monkeypatch.setattr(measuring.timezone, "now", lambda: now)
        self.monkeypatch.setattr(self.cluster, "samples", lambda: list(samples))
        written: list[Reading] = []
        record = metering.record

        def counting(readings: Iterable[Reading], at: datetime | None = None) -> None:
            given = list(readings)
            written.extend(given)
            record(given, at)

        self.monkeypatch.setattr(measuring.metering, "record", counting)
        self.sampler.sample()
        self.monkeypatch.setattr(measuring.metering, "record", record)
        return len(written)


@pytest.fixture
def watched(cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(cluster, monkeypatch)


def test_what_hardly_changes_is_written_seldom_and_counted_whole(instance: Instance, watched: Watched) -> None:
    written = [
        watched.minute(Sample(instance.pk, "pod", cpu_us=minute * 1000, memory_bytes=100)) for minute in range(8)
    ]
    assert 0 < sum(written[1:]) < 4
    watched.minute()  # it is gone, and what it took until it was last seen is known
    found = sums(UsageMonth, instance)
    assert (found["cpu_us"], found["memory_byte_s"]) == (7000, 100 * 7 * 60)


def test_what_is_at_work_is_written_each_minute(instance: Instance, watched: Watched) -> None:
    assert [watched.minute(Sample(instance.pk, "pod", minute * 500_000, 100)) for minute in range(5)] == [1] * 5


def test_memory_that_jumps_counts_from_when_it_was_seen(instance: Instance, watched: Watched) -> None:
    for memory in (100, 100, 100, 900):
        watched.minute(Sample(instance.pk, "pod", 5, memory))
    assert sums(UsageMonth, instance)["memory_byte_s"] == (100 * 2 + 900) * 60


def test_a_sampler_that_begins_anew_neither_loses_nor_doubles(instance: Instance, watched: Watched) -> None:
    for minute in range(3):
        watched.minute(Sample(instance.pk, "pod", 10 + minute, 100))
    watched.sampler = measuring.Sampler()
    watched.minute(Sample(instance.pk, "pod", 20, 100))
    watched.minute(Sample(instance.pk, "pod", 1, 100))  # the process began anew
    found = sums(UsageMonth, instance)
    assert (found["cpu_us"], found["memory_byte_s"]) == (21, 100 * 4 * 60)


def test_rounds_go_on_after_a_cluster_that_did_not_answer(
    races: None, cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = install_app(active_person(cluster), app_slug=released(cluster).app.slug)[0]
    answers: list[Sample | None] = [Sample(instance.pk, "pod", 7, 1), None]

    def samples() -> list[Sample]:
        found = answers.pop() if answers else Sample(instance.pk, "pod", 7, 1)
        if found is None:
            raise Temporary("no node answers")
        return [found]

    monkeypatch.setattr(cluster, "samples", samples)
    with measuring.going_on(every_s=0.01):
        deadline = time.monotonic() + 60
        while not sums(UsageMonth, instance)["cpu_us"] and time.monotonic() < deadline:
            time.sleep(0.02)
    assert sums(UsageMonth, instance)["cpu_us"] == 7
