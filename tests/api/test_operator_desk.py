"""`operator/overview/`, `operations/`, `clouds/ID/` and its usage: how the whole installation is, for programs."""

import pytest

from tenants.api import operator_desk
from tenants.models import Operation
from tenants.services import figures
from tests import operators
from tests.api.client import Program, error
from tests.api.test_operator_matrix import operator_of
from tests.worlds import MemoryCluster, active_person

pytestmark = pytest.mark.django_db


@pytest.fixture
def program(cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch) -> Program:
    monkeypatch.setattr(figures, "REMEMBER_S", -1.0)
    return Program(operator_of(cluster, "support"), ("operator:read",))


def test_the_overview_counts_what_there_is(cluster: MemoryCluster, program: Program) -> None:
    person = active_person(cluster)
    operators.failed_operation(person)
    operators.suspend(active_person(cluster))
    operators.release(person, review="pending")
    operators.report(person)
    told = program("GET", "operator/overview/").json()
    assert set(told) == set(operator_desk.OverviewShape().fields)
    assert (told["people"], told["clouds"], told["failing"]) == (4, {"active": 2, "suspended": 1}, 1)
    assert told["waiting"] == {"reviews": 1, "reports": 1, "operations": 0, "behind": 0}
    assert [cell["clouds"] for cell in told["cells"]] == [3]
    (day,) = told["days"]
    assert set(day) == set(operator_desk.DayShape().fields)
    assert (day["people"], day["joined"], day["failed"]) == (4, 4, 1)


def test_operations_are_found_by_state_and_cloud_and_turned_page_by_page(
    cluster: MemoryCluster, program: Program
) -> None:
    one, other = active_person(cluster), active_person(cluster)
    failed = [operators.failed_operation(person) for person in (one, other)]
    path = "operator/operations/?state=failing&page_size=1"
    pages = [program("GET", f"{path}&page={number}").json() for number in (1, 2, 3)]
    assert [[row["id"] for row in page["results"]] for page in pages] == [[failed[1].pk], [failed[0].pk], []]
    assert [bool(page["next"]) for page in pages] == [True, False, False]
    assert program("GET", pages[0]["next"].partition("/api/v1/")[2]).json() == pages[1]
    (row,) = program("GET", f"operator/operations/?state=failed&cloud={one.cloud.pk}").json()["results"]
    assert set(row) == set(operator_desk.OwnedOperationShape().fields)
    assert (row["cloud"], row["handle"], row["steps"]) == (one.cloud.pk, one.handle, [])
    every = program("GET", "operator/operations/").json()["results"]
    assert len(every) == Operation.objects.count()
    assert error(program("GET", "operator/operations/?state=broken"))[::2] == (422, "state")
    for page in ("0", "-1", "x", "1e3", "9" * 30):
        assert error(program("GET", f"operator/operations/?page={page}"))[0] == 404


def test_a_cloud_is_told_as_to_its_owner(cluster: MemoryCluster, program: Program) -> None:
    person = active_person(cluster)
    path = f"operator/clouds/{person.cloud.pk}/"
    own, told = Program(person)("GET", "cloud/").json(), program("GET", path).json()
    assert own.items() >= told.items() and told["handle"] == person.handle
    asked = "usage/?by=day&since=2026-01-01T00:00:00Z&until=2026-01-02T00:00:00Z"
    mine = Program(person)("GET", f"cloud/{asked}")
    assert program("GET", f"{path}{asked}").json() == mine.json()
    assert program("GET", f"{path}{asked}").status_code == mine.status_code
    assert error(program("GET", f"{path}usage/?by=year"))[::2] == (422, "by")
    for missing in ("operator/clouds/cldnone/", "operator/clouds/cldnone/usage/"):
        assert error(program("GET", missing))[0] == 404
