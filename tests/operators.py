"""Operators of each role, and what they act on, made ready for one act each."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

import redis
from allauth.account.models import EmailAddress
from django.conf import settings
from django.utils import timezone

from apps_catalog.models import App, AppReport, Release, Revision
from provider import pulse, queues
from tenants.models import Event, Operation, Override, User
from tenants.services import overrides, support

_numbers = itertools.count(1)


@contextmanager
def everything_beats() -> Iterator[None]:
    """The processes in the background have just proved that they work, and are forgotten afterwards."""
    for process in queues.PROCESSES:
        pulse._write(process)
    yield
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.delete(*(f"freehold:pulse:{process}" for process in queues.PROCESSES))


def failed_operation(person: User) -> Operation:
    return Operation.objects.create(kind="create_cloud", cloud=person.cloud, state="failed", finished_at=timezone.now())


def forget_confirmation(person: User) -> None:
    EmailAddress.objects.update_or_create(user=person, email=person.email, defaults={"verified": False})


def given_override(person: User) -> Override:
    return overrides.grant_override(None, person.cloud, {"memory_mib": 99_000}, reason="A trial")


def suspend(person: User) -> None:
    number = next(_numbers)
    other = User.objects.create_user(f"warden{number}@example.org", f"warden{number}", "Corr3ct-horse", is_staff=True)
    support.suspend_cloud(other, person.cloud, "It sends spam.")


def release(developer: User, *, review: str = "approved") -> Release:
    """Of a new app that strangers find, or wait for."""
    slug = f"app{next(_numbers)}"
    listed = review == "approved"
    app = App.objects.create(slug=slug, developer=developer, name=slug, listed=listed, released_at=timezone.now())
    revision = Revision.objects.create(
        app=app, tag="heron-abcd", state="ready", source="sha256:0", source_bytes=1, spacefile={}
    )
    return Release.objects.create(app=app, revision=revision, version="1.0.0", listed=listed, review=review)


def report(developer: User) -> AppReport:
    app = release(developer).app
    return AppReport.objects.create(app=app, reporter=developer, concern="harmful", text="It mines coins.")


def acts_of(operator: User) -> list[Event]:
    """What the record says that they did, the newest first."""
    return list(Event.objects.filter(actor=operator.pk).order_by("-pk"))
