"""What the desk counts: kept by a worker, for a part of its time, and read where counting would be dear."""

from datetime import timedelta

import pytest
from django.utils import timezone

from tenants.models import DeskDay, Operation
from tenants.services import desk, figures
from tests import operators
from tests.worlds import MemoryCluster, active_person

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "REMEMBER_S", -1.0)


def test_what_was_kept_is_what_was_counted(cluster: MemoryCluster) -> None:
    operators.failed_operation(active_person(cluster))
    figures.keep()
    row = DeskDay.objects.get()
    read = figures._read(row)
    assert read and figures.as_json(read) == figures.as_json(figures.count())
    assert (figures.now().people, figures.now().clouds, figures.now().failed) == (1, 1, 1)


def test_a_day_that_another_version_counted_is_one_that_nobody_counted(cluster: MemoryCluster) -> None:
    figures.keep()
    DeskDay.objects.update(took_ms=1000, figures={"people": 7})
    assert figures.now().people == 0
    yesterday = timezone.now() - timedelta(days=1)
    DeskDay.objects.create(day=yesterday.date(), counted_at=yesterday, took_ms=1, figures={"loads": [{"x": 1}]})
    assert [found is None for _, found in figures.history(2)] == [True, False]


def test_where_counting_is_cheap_everybody_counts_anew(cluster: MemoryCluster) -> None:
    figures.keep()
    DeskDay.objects.update(took_ms=figures.CHEAP_MS - 1)
    active_person(cluster)
    assert figures.now().people == 1


def test_where_it_is_dear_pages_read_what_was_kept_unless_nobody_counts_any_more(cluster: MemoryCluster) -> None:
    figures.keep()
    DeskDay.objects.update(took_ms=1000)
    active_person(cluster)
    assert figures.now().people == 0
    old = timezone.now() - figures.FRESH - timedelta(seconds=figures.PART + 1)
    DeskDay.objects.update(counted_at=old)
    assert figures.now().people == 1


def test_a_worker_counts_for_no_more_than_a_part_of_its_time(cluster: MemoryCluster) -> None:
    figures.keep()
    DeskDay.objects.update(took_ms=1000)
    counted_at = DeskDay.objects.get().counted_at
    figures.keep()
    assert DeskDay.objects.get().counted_at == counted_at
    DeskDay.objects.update(counted_at=counted_at - timedelta(seconds=figures.PART + 1))
    figures.keep()
    assert DeskDay.objects.get().counted_at > counted_at


def test_history_has_every_day_and_says_which_nobody_counted() -> None:
    figures.keep()
    days = figures.history(5)
    assert len(days) == 5 and [day for day, _ in days] == sorted(day for day, _ in days)
    assert [found is None for _, found in days] == [True, True, True, True, False]


def test_what_was_done_again_does_not_fail_any_more_and_what_hangs_does(cluster: MemoryCluster) -> None:
    person = active_person(cluster)
    failed = operators.failed_operation(person)
    assert list(desk.failing()) == [failed]
    again = Operation.objects.create(kind=failed.kind, cloud=person.cloud, state="running")
    assert list(desk.failing()) == []
    Operation.objects.filter(pk=again.pk).update(created_at=timezone.now() - timedelta(minutes=5))
    assert list(desk.failing()) == [failed, again]
    Operation.objects.filter(pk=again.pk).update(kind="close_cloud")
    assert list(desk.failing()) == [failed]
    Operation.objects.filter(pk=failed.pk).update(created_at=timezone.now() - desk.LATELY - timedelta(hours=1))
    assert list(desk.failing()) == []
