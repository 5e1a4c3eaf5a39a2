"""/api/v1/cloud/usage/."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from tenants import metering
from tenants.metering import Reading
from tenants.models import Instance, UsageEvent
from tenants.services.instances import install_app
from tests.api.client import Program, error
from tests.worlds import MemoryCluster, active_person, released

pytestmark = pytest.mark.django_db


@pytest.fixture
def instance(cluster: MemoryCluster) -> Instance:
    return install_app(active_person(cluster), app_slug=released(cluster).app.slug)[0]


def ask(of: Instance, **query: str) -> Any:
    words = "&".join(f"{name}={value}" for name, value in query.items())
    return Program(of.cloud.owner)("GET", f"cloud/usage/?{words}")


def test_use_is_told_by_hour_and_by_app(instance: Instance) -> None:
    now = timezone.now()
    for minutes, cpu_us, sent in ((2, 0, 0), (1, 1_500_000, 2_000)):
        at = now - timedelta(minutes=minutes)
        reading = Reading("pod", instance.pk, cpu_us=cpu_us, bytes_out=sent, requests=minutes, memory_bytes=6 * 10**9)
        metering.record([reading], at)
    metering.count(instance.cloud_id, instance.pk, UsageEvent.WAKE)
    told = ask(instance, by="hour").json()
    assert sum(point["cpu_seconds"] for point in told["points"]) == 1.5
    assert sum(point["memory_gb_hours"] for point in told["points"]) == pytest.approx(0.1)
    assert len(told["points"]) == 48
    (part,) = [part for part in told["month"] if part["subject"] == instance.pk]
    assert (part["title"], part["bytes_out"], part["wakes"], part["runs"]) == (instance.alias, 2_000, 1, 0)


def test_one_instance_of_several_can_be_asked_for(instance: Instance) -> None:
    other, _ = install_app(instance.cloud.owner, app_slug=instance.app.slug)
    at = timezone.now()
    metering.record([Reading("a", instance.pk, requests=3), Reading("b", other.pk, requests=40)], at)
    assert sum(point["requests"] for point in ask(instance, by="day").json()["points"]) == 43
    told = ask(instance, by="day", instance=other.pk).json()
    assert sum(point["requests"] for point in told["points"]) == 40
    assert [part["subject"] for part in told["month"]] == [other.pk]


def test_months_stay_when_their_hours_are_gone(instance: Instance) -> None:
    metering.record([Reading("pod", instance.pk, requests=7)], timezone.now() - timedelta(days=100))
    metering.prune()
    assert sum(point["requests"] for point in ask(instance, by="month").json()["points"]) == 7


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"by": "minute"}, "by"),
        ({"since": "yesterday"}, "since"),
        ({"since": "2026-13-45T00:00:00Z"}, "since"),
        ({"until": "2026-11-25T12:00:00"}, "until"),
        ({"by": "day", "since": "1999-01-01T00:00:00Z"}, "since"),
        ({"by": "month", "since": "0002-01-01T00:00:00Z"}, "since"),
        ({"since": "2999-01-01T00:00:00Z"}, "since"),
    ],
)
def test_what_cannot_be_told_names_the_field(instance: Instance, query: dict[str, str], field: str) -> None:
    status, _code, named = error(ask(instance, **query))
    assert (status, named) == (422, field)


def test_a_strangers_instance_is_not_there(instance: Instance, cluster: MemoryCluster) -> None:
    stranger = Program(active_person(cluster))
    assert error(stranger("GET", f"cloud/usage/?instance={instance.pk}"))[0] == 404
    began = datetime(2026, 1, 1, tzinfo=UTC)
    metering.record([Reading("pod", instance.pk, requests=7)], began)
    told = stranger("GET", "cloud/usage/?by=month&since=2026-01-01T00:00:00Z").json()
    assert not any(point["requests"] for point in told["points"])
