"""A month's statement, which is what an invoice of usage would say: to the unit what was metered, and the same for good."""

from collections import Counter as Sums
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as some

from tenants import metering
from tenants.metering import MEASURES, Reading
from tenants.models import (
    ClosedMonth,
    Cloud,
    Instance,
    MeterReading,
    PlanPeriod,
    StatementLine,
    UsageHour,
    UsageMonth,
)
from tenants.reconcile.statements import close_month
from tenants.services import statements
from tenants.services.instances import install_app
from tenants.services.plan_changes import change_plan
from tests.clocks import START, Clock
from tests.offers import offer
from tests.worlds import MemoryCluster, active_person, released

pytestmark = pytest.mark.django_db
PLANS = ("household", "large", "larger")
ROOM = {"cpu_millis": 9000, "memory_mib": 9000, "storage_mib": 9000, "instances": 9}


@pytest.fixture
def copies(clock: Clock, cluster: MemoryCluster) -> list[Instance]:
    for slug in PLANS[1:]:
        offer(slug, **ROOM)
    owner, slug = active_person(cluster), released(cluster).app.slug
    return [install_app(owner, app_slug=slug, alias=alias)[0] for alias in ("anew", "again")]


@dataclass
class Process:
    """What is counted: it counts from its start. `named`: each life has a name of its own, as with most kubelets."""

    owner: str
    number: int
    named: bool
    lives: int = 0
    cpu: int = 0
    sent: int = 0

    @property
    def reading(self) -> Reading:
        source = f"{self.number}@{self.lives}" if self.named else f"{self.number}"
        return Reading(source, self.owner, cpu_us=self.cpu, bytes_out=self.sent, memory_bytes=7 + self.number)

    def begin_anew(self) -> None:
        self.lives, self.cpu, self.sent = self.lives + 1, 0, 0


@dataclass
class Model:
    """What the statements have to say, worked out from what was delivered, in as few words as possible."""

    plans: list[tuple[datetime, str]] = field(default_factory=list)
    closed_until: datetime = datetime(1, 1, 1, tzinfo=UTC)
    last: dict[str, tuple[datetime, Reading]] = field(default_factory=dict)
    units: dict[tuple[datetime, str, datetime, str], Sums[str]] = field(default_factory=dict)

    def hear(self, batch: list[Reading], at: datetime) -> None:
        counts = max(at, self.closed_until)
        began, plan = max(entry for entry in self.plans if entry[0] <= counts)
        for reading in batch:
            before = self.last.get(reading.source)
            if before and before[0] >= at:
                continue
            grew: Sums[str] = Sums()
            for name in ("cpu_us", "bytes_out"):
                old, new = getattr(before[1], name) if before else 0, getattr(reading, name)
                grew[name] = new - old if new >= old else new
            grew["memory_byte_s"] = reading.memory_bytes * int((at - before[0]).total_seconds()) if before else 0
            self.last[reading.source] = at, reading
            if +grew:
                key = (metering.month_of(counts), plan, began, reading.owner)
                self.units.setdefault(key, Sums()).update(grew)

    def close(self, now: datetime) -> None:
        if now >= metering.month_of(now) + timedelta(hours=1):
            self.closed_until = metering.month_of(now)


@dataclass
class World:
    """One example: the real thing beside the model."""

    clock: Clock
    cloud: Cloud
    processes: list[Process]
    model: Model
    waiting: list[tuple[datetime, list[Reading]]] = field(default_factory=list)
    said: dict[datetime, Any] = field(default_factory=dict)

    def deliver(self, batch: list[Reading], at: datetime) -> None:
        metering.record(batch, at)
        self.model.hear(batch, at)

    def read(self, part: int) -> list[Reading]:
        """Of one sampler: all, or those that one gate or one cell's observer knows."""
        return [process.reading for process in self.processes if part == 0 or process.number % 2 == part % 2]

    def step(self, what: str, number: int, amount: int) -> None:
        now = self.clock.on(minutes=1 + number)
        process = self.processes[number]
        if what == "work":
            process.cpu, process.sent = process.cpu + amount, process.sent + amount // 3
        elif what == "restart":
            process.begin_anew()
        elif what == "read":
            self.deliver(self.read(number), now)
        elif what == "read, to come late":
            self.waiting.append((now, self.read(number)))
        elif what == "what waits comes":
            if not self.waiting:
                return
            at, batch = self.waiting[number % len(self.waiting)]  # it stays, and may come again
            self.deliver(batch, at)
        elif what == "killed":
            self.killed(number, now)
        elif what == "plan":
            self.change_plan(PLANS[number % 3])
        else:
            self.go_on(what, now, number)

    def go_on(self, what: str, now: datetime, number: int) -> None:
        if what == "the month nears its end":
            self.clock.now = metering.month_of(metering.month_of(now) + timedelta(days=32)) - timedelta(minutes=number)
        elif what == "close":
            now = self.clock.on(minutes=61)
            close_month()
            self.model.close(now)
            for since in statements.months(self.cloud):
                found = statements.statement(self.cloud, since)
                if found and found.closed_at:
                    self.said.setdefault(since, found)

    def change_plan(self, slug: str) -> None:
        self.cloud.refresh_from_db()
        if self.cloud.plan_id != slug:
            change_plan(None, self.cloud, slug, by_operator=True)
            self.model.plans.append((self.clock.now, slug))

    def killed(self, number: int, now: datetime) -> None:
        """All three at once, and nothing of them is committed."""
        with transaction.atomic():
            metering.record(self.read(0), now)
            self.cloud.refresh_from_db()
            change_plan(None, self.cloud, next(slug for slug in PLANS if slug != self.cloud.plan_id), by_operator=True)
            close_month()
            transaction.set_rollback(True)


KINDS = (
    "work",
    "work",
    "read",
    "read",
    "read, to come late",
    "what waits comes",
    "restart",
    "killed",
    "plan",
    "the month nears its end",
    "close",
)
STEPS = some.lists(
    some.tuples(some.sampled_from(KINDS), some.integers(0, 3), some.integers(1, 10**12)), min_size=25, max_size=50
)


def lines(cloud: Cloud) -> dict[tuple[datetime, str, datetime, str], Sums[str]]:
    """All that the cloud's statements say."""
    return {
        (since, period.plan, period.since, line.subject): Sums(line.units)
        for since in statements.months(cloud)
        if (found := statements.statement(cloud, since))
        for period in found.periods
        for line in period.lines
    }


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
@example(
    [
        *(
            ("work", 0, 9),
            ("read", 0, 1),
            ("the month nears its end", 3, 1),
            ("work", 0, 5),
            ("read, to come late", 0, 1),
        ),
        *(("close", 0, 1), ("plan", 1, 1), ("what waits comes", 0, 1), ("what waits comes", 0, 1)),
    ]
)
def test_statements_match_metering_to_the_unit_whatever_comes_in_which_order(
    clock: Clock, copies: list[Instance], steps: list[tuple[str, int, int]]
) -> None:
    for model in (UsageHour, UsageMonth, MeterReading, StatementLine, ClosedMonth, PlanPeriod):
        model.objects.all().delete()
    cloud = copies[0].cloud
    Cloud.objects.filter(pk=cloud.pk).update(plan="household")
    clock.now = START
    processes = [Process(copies[number // 2].pk, number, named=number < 2) for number in range(4)]
    world = World(clock, cloud, processes, Model([(cloud.created_at, "household")]))
    for step in steps:
        world.step(*step)
    assert lines(cloud) == {
        key: Sums({name: units[name] for name in MEASURES}) for key, units in world.model.units.items()
    }
    for since, said in world.said.items():
        assert statements.statement(cloud, since) == said, "a closed month's statement has changed"
    told = sum(
        (Sums(found.total) for since in statements.months(cloud) if (found := statements.statement(cloud, since))),
        Sums(),
    )
    hours: Sums[str] = sum(
        (Sums({name: getattr(row, name) for name in MEASURES}) for row in UsageHour.objects.all()), Sums()
    )
    assert told == hours
    stood_at = sum(reading.cpu_us for _at, reading in world.model.last.values() if "@" in reading.source)
    assert stood_at == sum(units["cpu_us"] for (*_, subject), units in lines(cloud).items() if subject == copies[0].pk)
