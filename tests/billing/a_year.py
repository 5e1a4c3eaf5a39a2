"""A clock that goes by days, at Freehold and at its Stripe; a worker that does what a real one would; who got which mail.

Nothing here knows what ought to happen: it is the world that tests/billing/test_year.py tells its story in.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

from celery.app.base import Celery
from celery.app.task import Task
from django.conf import settings
from django.core import mail
from django.utils import timezone

from provider.celery import app
from tenants.models import BillingAccount, Cloud, Event, User
from tests.api.client import Program
from tests.billing.conftest import SECRET, post
from tests.stripe_double.passing import Passing
from tests.stripe_double.server import Double
from tests.worlds import PASSWORD

# What runs in seconds: it concerns apps that are in use, and reads the database's own clock.
NOT_OF_DAYS = ("pulse", "sleepers", "drains", "actions")
Dated = tuple[str, str]


class Worker:
    """Keeps what is sent to the broker and does it when asked, as often as new work comes of it."""

    def __init__(self) -> None:
        app.loader.import_default_modules()
        self.waiting: list[tuple[str, tuple[Any, ...]]] = []

    def work(self) -> None:
        while self.waiting:
            todo, self.waiting = list(dict.fromkeys(self.waiting)), []
            for name, ids in todo:
                app.tasks[name](*ids)

    def beat(self) -> None:
        """Every periodic task, and all again where something changed its state: they run each minute."""
        periodic = [entry["task"] for name, entry in settings.CELERY_BEAT_SCHEDULE.items() if name not in NOT_OF_DAYS]
        for _ in range(3):
            changes = Event.objects.count()
            self.waiting += [(task, ()) for task in periodic]
            self.work()
            if Event.objects.count() == changes:
                break

    @contextmanager
    def instead_of_the_broker(self) -> Iterator[None]:
        def send_task(_app: Any, name: str, args: Any = (), **_: Any) -> None:
            self.waiting.append((name, tuple(args)))

        def apply_async(task: Any, args: Any = (), **_: Any) -> None:
            self.waiting.append((task.name, tuple(args)))

        with mock.patch.object(Celery, "send_task", send_task), mock.patch.object(Task, "apply_async", apply_async):
            yield


@dataclass
class Person:
    name: str
    user: User
    world: "World"

    @property
    def cloud(self) -> Cloud:
        return Cloud.objects.select_related("plan").get(owner=self.user)

    @property
    def account(self) -> BillingAccount:
        return BillingAccount.objects.get(cloud__owner=self.user)

    def asks(self, method: str, path: str, body: Any = None) -> Any:
        """The API, as this person. Returns what it says; refusals too."""
        answer = Program(self.user)(method, path, body)
        return answer.json() if answer.content else {}

    @property
    def customer(self) -> str:
        return self.world.customers[self.name]

    def bills(self) -> list[Dated]:
        """(day, amount and how it ended) of each invoice with something to pay, by Stripe's books."""
        rows = self.world.double.stripe.objects.values()
        mine = [
            row for row in rows if row["object"] == "invoice" and row["customer"] == self.world.customers.get(self.name)
        ]
        return [
            (day(row["created"]), f"{row['amount_due'] / 100:.2f} {row['status']}") for row in mine if row["amount_due"]
        ]


@dataclass
class World:
    double: Double
    now: datetime
    worker: Worker = field(default_factory=Worker)
    people: dict[str, Person] = field(default_factory=dict)
    customers: dict[str, str] = field(default_factory=dict)
    mails: dict[str, list[Dated]] = field(default_factory=dict)
    app: str = ""  # one that anybody can install
    is_cut_off: bool = False  # nothing that Stripe sends arrives
    _delivered: int = 0

    def __post_init__(self) -> None:
        self.passing = Passing(self.double.stripe)
        self.double.stripe.clock = lambda: self.now.timestamp()

    def arrives(self, name: str) -> Person:
        email = f"{name.lower()}@example.org"
        made = Program()("POST", "accounts/", {"email": email, "handle": name.lower(), "password": PASSWORD})
        assert made.status_code == 201, made.content
        self.people[name] = Person(name, User.objects.get(email=email), self)
        self.mails[name] = []
        self.worker.work()
        return self.people[name]

    def a_day_passes(self) -> None:
        """At noon: Stripe does what is due and tells of it, and every periodic task runs."""
        self.passing.by_now()
        self.deliver()
        self.worker.beat()
        self.deliver()
        self.worker.work()
        self.read_mails()

    def deliver(self) -> None:
        """As Stripe does, twice: the second time it had not heard the answer to the first."""
        events, self._delivered = self.double.stripe.events[self._delivered :], len(self.double.stripe.events)
        for event in [] if self.is_cut_off else events:
            answers = [post(*self.double.stripe.sign(event, SECRET)) for _ in range(2)]
            assert [answer.status_code for answer in answers] == [200, 200] and not answers[1].json()["new"]
        self.worker.work()

    def read_mails(self) -> None:
        """Into everybody's list, with today's date. Nobody else gets any."""
        names = {person.user.email: name for name, person in self.people.items()}
        for message in mail.outbox:
            (to,) = message.to
            assert str(message.body).strip()
            self.mails[names[to]].append((f"{self.now:%-d %b}", str(message.subject)))
        mail.outbox.clear()

    @contextmanager
    def going(self) -> Iterator[None]:
        with self.worker.instead_of_the_broker(), mock.patch.object(timezone, "now", lambda: self.now):
            yield

    def until(self, moment: datetime) -> Iterator[datetime]:
        """Day after day; what the caller does comes before the day's end."""
        while self.now < moment:
            yield self.now
            self.a_day_passes()
            self.now += timedelta(days=1)


def day(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%-d %b}"
