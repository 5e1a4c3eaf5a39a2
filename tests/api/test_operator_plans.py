"""`operator/plans/`, `operator/plan-file/`, `operator/clouds/…`: an operator's work on plans and on what clouds get."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tenants.api import plan_shapes
from tenants.models import Override, Plan, User
from tests.api.client import Program, error
from tests.offers import TERMS, offer
from tests.worlds import MemoryCluster, active_person, cloud_of, settle

pytestmark = pytest.mark.django_db
AREA = ("operator:*",)


@pytest.fixture
def operator(cluster: MemoryCluster) -> User:
    user = active_person(cluster, "operator")
    user.is_staff = True
    user.save()
    return user


def test_plans_are_made_changed_archived_and_deleted(operator: User) -> None:
    program = Program(operator, AREA)
    made = program("POST", "operator/plans/", {"slug": "small", **TERMS, "price_minor": 500}, key="k")
    assert made.status_code == 201 and set(made.json()) == set(plan_shapes.OperatorPlanShape().fields)
    assert (
        program("POST", "operator/plans/", {"slug": "small", **TERMS, "price_minor": 500}, key="k").json()
        == made.json()
    )
    assert error(program("POST", "operator/plans/", {"slug": "small", **TERMS})) == (422, "slug_taken", "slug")
    changed = program("PATCH", "operator/plans/small/", {"memory_mib": 2048, "sleep_after_s": 900})
    assert (changed.json()["memory_mib"], changed.json()["sleep_after_s"]) == (2048, 900)
    assert program("PATCH", "operator/plans/small/", {"sleep_after_s": None}).json()["sleep_after_s"] is None
    assert program("PATCH", "operator/plans/small/", {"archived": True}).json()["archived"] is True
    assert [row["slug"] for row in Program()("GET", "billing/plans/").json()["results"]] == ["household"]
    rows = program("GET", "operator/plans/").json()["results"]
    assert [(row["slug"], row["clouds"]) for row in rows] == [("household", 1), ("small", 0)]
    assert program("DELETE", "operator/plans/small/").status_code == 204
    assert program("GET", "operator/plans/small/").status_code == 404
    assert error(program("DELETE", "operator/plans/household/"))[:2] == (409, "default_plan")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("memory_mib", -1),
        ("memory_mib", 10**40),
        ("cpu_millis", "many"),
        ("instances", True),
        ("storage_mib", 1.5),
        ("price_minor", -1),
        ("price_minor", 9.99),
        ("currency", "EURO"),
        ("traffic_bytes", -1),
        ("rate_class", "x" * 20),
        ("archived_at", "2026-01-01"),
        ("clouds", 1),
    ],
)
def test_impossible_terms_are_refused_with_the_field(operator: User, field: str, value: Any) -> None:
    program = Program(operator, AREA)
    offer()
    assert error(program("POST", "operator/plans/", {"slug": "b", **TERMS, field: value}))[::2] == (422, field)
    assert error(program("PATCH", "operator/plans/small/", {field: value}))[::2] == (422, field)
    assert not Plan.objects.filter(pk="b").exists()


def test_plans_go_out_and_come_in_as_a_file(operator: User) -> None:
    program = Program(operator, AREA)
    offer(price_minor=500)
    document = program("GET", "operator/plan-file/").json()
    document["plans"].append({"slug": "large", **TERMS, "name": "Large", "instances": 50})
    document["plans"][1]["price_minor"] = 700
    expected = {"created": ["large"], "changed": ["small"], "unchanged": ["household"]}
    assert program("POST", "operator/plan-file/?dry_run=true", document).json() == expected
    assert not Plan.objects.filter(pk="large").exists()
    assert program("POST", "operator/plan-file/", document).json() == expected
    assert program("POST", "operator/plan-file/", document).json()["unchanged"] == ["household", "small", "large"]
    document["plans"][2]["instances"] = -1
    document["plans"][1]["price_minor"] = 900
    assert error(program("POST", "operator/plan-file/", document)) == (422, "invalid_plan", "plans[2].instances")
    assert Plan.objects.get(pk="small").price_minor == 700


def test_a_cloud_gets_more_for_a_while_and_the_operator_sees_it(cluster: MemoryCluster, operator: User) -> None:
    program, user = Program(operator, AREA), active_person(cluster)
    path = f"operator/clouds/{user.cloud.pk}/overrides/"
    body = {
        "figures": {"instances": 30, "sleep_after_s": 0},
        "reason": "A friend of the house",
        "ends_at": (timezone.now() + timedelta(days=30)).isoformat(),
    }
    made = program("POST", path, body, key="k")
    assert made.status_code == 201 and set(made.json()) == set(plan_shapes.OverrideShape().fields)
    assert program("POST", path, body, key="k").json() == made.json()
    assert (made.json()["counts"], made.json()["granted_by"]) == (True, operator.handle)
    assert program("GET", f"operator/clouds/{user.cloud.pk}/plan/").json()["allowance"]["quota"]["instances"] == 30
    ended = program("DELETE", f"{path}{made.json()['id']}/", {"reason": "It is over."})
    assert (ended.status_code, ended.json()["counts"]) == (200, False)
    again = program("DELETE", f"{path}{made.json()['id']}/", {"reason": "It is over."})
    assert again.json() == ended.json()
    assert len(program("GET", path).json()["results"]) == 1
    assert cloud_of(user).quota.instances == 20


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"figures": {}}, "figures"),
        ({"figures": {"instances": -1}}, "instances"),
        ({"figures": {"memory_mib": 10**30}}, "memory_mib"),
        ({"reason": ""}, "reason"),
        ({"ends_at": "2020-01-01T00:00:00Z"}, "ends_at"),
        ({"ends_at": "soon"}, "ends_at"),
        ({"cloud": "x"}, "cloud"),
    ],
)
def test_impossible_overrides_are_refused_with_the_field(
    cluster: MemoryCluster, operator: User, change: dict[str, Any], field: str
) -> None:
    user = active_person(cluster)
    body = {"figures": {"instances": 3}, "reason": "r", **change}
    answer = Program(operator, AREA)("POST", f"operator/clouds/{user.cloud.pk}/overrides/", body)
    assert error(answer)[::2] == (422, field)
    assert not Override.objects.exists()


def test_an_operator_changes_a_clouds_plan_with_a_reason(cluster: MemoryCluster, operator: User) -> None:
    offer("hidden", is_visible=False)
    program, user = Program(operator, AREA), active_person(cluster)
    path = f"operator/clouds/{user.cloud.pk}/plan/"
    assert error(program("POST", path, {"plan": "hidden"}))[::2] == (422, "reason")
    assert program("POST", f"{path}?dry_run=true", {"plan": "hidden", "reason": "r"}).json()["fits"] is True
    assert cloud_of(user).plan_id == "household"
    operation = program("POST", path, {"plan": "hidden", "reason": "Agreed by mail"})
    assert (operation.status_code, operation.json()["kind"]) == (202, "change_plan")
    settle()
    assert cluster.clouds[user.cloud.pk].instances == 2


CALLS = [
    ("GET", "plans/"),
    ("POST", "plans/"),
    ("GET", "plans/small/"),
    ("PATCH", "plans/small/"),
    ("DELETE", "plans/small/"),
    ("GET", "plan-file/"),
    ("POST", "plan-file/"),
    ("GET", "clouds/{cloud}/plan/"),
    ("POST", "clouds/{cloud}/plan/"),
    ("GET", "clouds/{cloud}/overrides/"),
    ("POST", "clouds/{cloud}/overrides/"),
    ("DELETE", "clouds/{cloud}/overrides/ovrnone/"),
]


@pytest.mark.parametrize("who", ["nobody", "stranger", "operator without the scope", "operator no more", "reader"])
def test_nobody_else_gets_in(cluster: MemoryCluster, operator: User, who: str) -> None:
    offer()
    user = active_person(cluster)
    programs = {
        "nobody": (None, ("*",)),
        "stranger": (user, ("*",)),
        "operator without the scope": (operator, ("*",)),
        "operator no more": (operator, AREA),
        "reader": (operator, ("operator:read",)),
    }
    program = Program(*programs[who])
    User.objects.filter(pk=operator.pk).update(is_staff=who != "operator no more")
    for method, path in CALLS:
        answer = program(method, f"operator/{path.format(cloud=user.cloud.pk)}", None if method == "GET" else {})
        expected = 401 if who == "nobody" else 200 if who == "reader" and method == "GET" else 403
        assert answer.status_code == expected, (method, path)
    assert Plan.objects.count() == 2 and not Override.objects.exists()


def test_what_is_not_there_is_not_found(operator: User) -> None:
    program = Program(operator, AREA)
    for method, path in CALLS[2:5] + CALLS[7:]:
        body = {"figures": {"instances": 1}, "reason": "r"} if path.endswith("overrides/") else None
        sent = {"plan": "x", "reason": "r"} if path.endswith("plan/") else {} if method == "PATCH" else body
        sent = {"reason": "r"} if path.endswith("ovrnone/") else sent
        answer = program(method, f"operator/{path.format(cloud='cldnone')}", None if method == "GET" else sent)
        assert answer.status_code == 404, (method, path)
