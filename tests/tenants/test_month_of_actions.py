"""A month of schedules by a fast clock, over workers that are killed at random: every due time ran once."""

import os
import random
import signal
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.db import connection

from apps_catalog.models import App, Revision
from tenants.models import Action, ActionRun, Cell, Cloud, Instance, InstanceMicro, Plan, UsageCount, User
from tenants.states import CloudState, InstanceState
from tests.tenants.action_workers import WORKERS_AT_ONCE, FileClock
from tests.tenants.actions import Listener, listening

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
END = BEGIN + timedelta(days=31)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
WORKERS = 3


@dataclass(frozen=True)
class Rhythm:
    """An interval, and its due times of the month as a person would count them: not by the code under test."""

    interval: str
    times: tuple[datetime, ...]


def _rhythms(chance: random.Random) -> list[Rhythm]:
    """230 of them, many due at the same time."""
    days = [BEGIN + n * DAY for n in range(31)]
    found = [Rhythm("6 hours", tuple(BEGIN + timedelta(hours=n) for n in range(1, 31 * 24 + 1, 6)))]
    for _ in range(15):
        hour, minute = _hour(chance)
        found.append(Rhythm(f"{minute} {hour} * * *", _at(days, hour, minute)))
    for _ in range(85):
        (hour, minute), weekday = _hour(chance), chance.randrange(7)
        right = [day for day in days if day.isoweekday() % 7 == weekday]
        found.append(Rhythm(f"{minute} {hour} ? * {weekday}", _at(right, hour, minute)))
    for _ in range(100):
        (hour, minute), day = _hour(chance), chance.randrange(1, 32)
        found.append(Rhythm(f"{minute} {hour} {day} * *", _at([days[day - 1]], hour, minute)))
    for step in (1, 2, 3, 7, 10):
        found += [Rhythm(f"{step} day{'s' if step > 1 else ''}", tuple(days[1::step])) for _ in range(6)]
    return found


def _hour(chance: random.Random) -> tuple[int, int]:
    return chance.choice([(0, 30), (6, 15), (9, 0), (9, 59), (18, 0), (23, 59)])


def _at(days: list[datetime], hour: int, minute: int) -> tuple[datetime, ...]:
    return tuple(day.replace(hour=hour, minute=minute) for day in days)


def _rows(rhythms: list[Rhythm]) -> dict[int, Rhythm]:
    """Ten apps of ten people, the actions dealt out among them. By the action's row."""
    plan = Plan.objects.create(slug="month", cpu_millis=1, memory_mib=1, storage_mib=1, instances=1)
    cell, _ = Cell.objects.get_or_create(name="local", defaults={"apps_domain": "apps.localhost"})
    instances = []
    for n in range(10):
        user = User.objects.create_user(f"month{n}@example.org", f"month{n}")
        cloud = Cloud.objects.create(
            owner=user, cell=cell, plan=plan, namespace=f"fh-month{n}", state=CloudState.ACTIVE
        )
        app = App.objects.create(slug=f"month{n}", name="App", developer=user)
        revision = Revision.objects.create(app=app, tag="1", source="sha256:0", source_bytes=1, spacefile={})
        sizes = {"cpu_millis": 1, "memory_mib": 1, "storage_mib": 1}
        host, state = f"month{n}.apps.localhost", InstanceState.RUNNING
        row = Instance.objects.create(
            cloud=cloud, app=app, revision=revision, alias="app", host=host, state=state, **sizes
        )
        InstanceMicro.objects.create(instance=row, name="main", kind="process", engine="python3.9")
        instances.append(row)
    from tenants.reconcile.actions import start_counting

    found = {}
    for n, rhythm in enumerate(rhythms):
        action = Action(instance=instances[n % 10], key=f"a{n}", micro="main", name=f"A{n}")
        action.default_interval = rhythm.interval
        start_counting(action, BEGIN)
        action.save()
        found[action.pk] = rhythm
    return found


@dataclass
class Crew:
    """Workers in processes of their own."""

    nursery: "subprocess.Popen[str]"
    pids: list[int] = field(default_factory=list)
    kills: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def hire(self) -> None:
        assert self.nursery.stdin and self.nursery.stdout
        self.nursery.stdin.write("one more\n")
        self.nursery.stdin.flush()
        self.pids.append(int(self.nursery.stdout.readline()))

    def replace_one(self, chance: random.Random) -> None:
        with self.lock:
            os.kill(self.pids.pop(chance.randrange(len(self.pids))), signal.SIGKILL)
            self.kills += 1
            self.hire()

    def dismiss(self) -> None:
        with self.lock:
            for pid in self.pids:
                os.kill(pid, signal.SIGKILL)
            self.pids.clear()


def _nothing() -> None:
    pass


@pytest.fixture
def app() -> Iterator[Listener]:
    with listening() as listener:
        yield listener


@pytest.fixture
def clock(tmp_path: Path) -> FileClock:
    file = tmp_path / "clock"
    file.write_bytes(struct.pack("d", BEGIN.timestamp()))
    return FileClock(file)


@pytest.fixture
def crew(races: None, tmp_path: Path, clock: FileClock, app: Listener) -> Iterator[Crew]:
    database = os.environ["DATABASE_URL"].rpartition("/")[0] + "/" + str(connection.settings_dict["NAME"])
    command = (sys.executable, "-m", "tests.tenants.action_workers", str(tmp_path / "clock"), app.address)
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | {"DATABASE_URL": database}, text=True
    ) as nursery:
        crew = Crew(nursery)
        for _ in range(WORKERS):
            crew.hire()
        yield crew
        crew.dismiss()
        nursery.kill()
    _until(lambda: _others() == 0, "the last of the workers' connections is closed")


def _others() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return int(cursor.fetchone()[0])


def _until(true: Callable[[], bool], what: str, pause_s: float = 0.01) -> None:
    deadline = time.monotonic() + 300
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(pause_s)


def _settled(now: datetime) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM tenants_action WHERE next_due <= %s)"
            " OR EXISTS (SELECT 1 FROM tenants_actionrun WHERE finished_at IS NULL)",
            [now],
        )
        return cursor.fetchone() == (False,)


def _next_due() -> datetime:
    due = Action.objects.order_by("next_due").values_list("next_due", flat=True)[0]
    assert due is not None
    return due


def _a_day_without_workers(crew: Crew, clock: FileClock, app: Listener) -> None:
    """What came due meanwhile is made up once, however often it would have run."""
    crew.dismiss()
    before, reached = set(ActionRun.objects.values_list("pk", flat=True)), len(app.runs)
    missed = dict(Action.objects.filter(next_due__lte=END + DAY).values_list("pk", "next_due"))
    clock.set(END + DAY)
    for _ in range(WORKERS):
        crew.hire()
    _until(lambda: _settled(END + DAY), "the day is made up")
    made_up = ActionRun.objects.exclude(pk__in=before)
    assert dict(made_up.values_list("action_id", "due_at")) == missed
    assert made_up.count() == len(missed) == len(app.runs) - reached


def test_every_due_time_of_a_month_ran_once(crew: Crew, clock: FileClock, app: Listener) -> None:
    chance = random.Random(20260301)
    rhythms = _rows(_rhythms(chance))
    began = time.monotonic()

    def at_work() -> None:
        """In the middle of a run, now and then: somebody dies, perhaps the one who waits for this answer."""
        if chance.random() < 0.025:
            crew.replace_one(chance)

    app.pause = at_work
    while (now := _next_due()) < END:
        clock.set(now)
        if chance.random() < 0.12:
            crew.replace_one(chance)  # before, while or after it finds what is due
        _until(lambda now=now: _settled(now), f"what is due at {now} is done")
    took_s = time.monotonic() - began

    runs = list(ActionRun.objects.all())
    by_action: dict[int, list[datetime]] = {pk: [] for pk in rhythms}
    for run in sorted(runs, key=lambda run: run.due_at):
        by_action[run.action_id].append(run.due_at)
    assert by_action == {pk: list(rhythm.times) for pk, rhythm in rhythms.items()}
    lost = {run.pk for run in runs if run.result == "lost"}
    assert {run.result for run in runs} <= {"succeeded", "lost"}
    seen = Counter(app.runs)
    app.pause = _nothing
    assert seen == Counter(run.pk for run in runs), "each run reached the app, and none twice"
    assert len(lost) <= crew.kills * WORKERS_AT_ONCE
    assert crew.kills >= 20, "workers did die"
    assert sum(UsageCount.objects.filter(what="run").values_list("count", flat=True)) == len(runs)
    _a_day_without_workers(crew, clock, app)
    print(
        f"\n{len(rhythms)} actions, {len(runs)} runs in {took_s:.1f} s, {crew.kills} workers killed: "
        f"{len(lost)} while the app was at work, whose answers nobody knows"
    )
