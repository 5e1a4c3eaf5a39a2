"""`billing/plans/` and `cloud/plan/`: what is offered, what one has, and changing it."""

import pytest
from django.apps import apps

from tenants.api import plan_shapes
from tenants.models import Operation, User
from tenants.services.overrides import grant_override
from tenants.services.plans import archive_plan
from tests.api.client import Program, error
from tests.offers import offer
from tests.worlds import MemoryCluster, active_person, cloud_of, released, settle

pytestmark = pytest.mark.django_db


def rows() -> dict[str, int]:
    """How many there are of everything."""
    return {model.__name__: model._base_manager.count() for model in apps.get_models() if model._meta.managed}


def with_apps(cluster: MemoryCluster, number: int) -> tuple[User, Program, str]:
    release, user = released(cluster), active_person(cluster)
    program = Program(user)
    for _ in range(number):
        assert program("POST", "instances/", {"app": release.app.slug}).status_code == 202
    settle()
    return user, program, release.app.slug


def test_anybody_reads_what_is_offered_and_nothing_else(db: None) -> None:
    offer(price_minor=500, trial_days=14, description="For two apps")
    offer("hidden", is_visible=False)
    offer("old")
    archive_plan(None, "old", archived=True)
    results = Program()("GET", "billing/plans/").json()["results"]
    assert [row["slug"] for row in results] == ["household", "small"]
    assert set(results[1]) == set(plan_shapes.PlanTermsShape().fields)
    assert (results[1]["price_minor"], results[1]["currency"], results[1]["interval"]) == (500, "eur", "month")


def test_one_reads_what_ones_cloud_may_use(cluster: MemoryCluster) -> None:
    user = active_person(cluster)
    grant_override(None, user.cloud, {"instances": 30}, reason="A friend of the house")
    document = Program(user)("GET", "cloud/plan/").json()
    assert set(document) == set(plan_shapes.CloudPlanShape().fields)
    assert set(document["allowance"]) == set(plan_shapes.AllowanceShape().fields)
    assert (document["plan"]["slug"], document["allowance"]["quota"]["instances"]) == ("household", 30)
    assert [(row["figures"], row["reason"]) for row in document["overrides"]] == [
        ({"instances": 30}, "A friend of the house")
    ]
    assert Program(user)("GET", "cloud/").json()["quota"]["instances"] == 30


def test_a_dry_run_of_a_change_tells_all_and_writes_nothing(cluster: MemoryCluster) -> None:
    offer(price_minor=500)
    user, program, _ = with_apps(cluster, 3)
    before = rows()
    answer = program("POST", "cloud/plan/?dry_run=true", {"plan": "small"})
    change = answer.json()
    assert answer.status_code == 200 and set(change) == set(plan_shapes.PlanChangeShape().fields)
    assert (change["current"], change["plan"]["slug"], change["fits"]) == ("household", "small", False)
    assert (change["price_delta_minor"], change["remaining"]["instances"]) == (500, -1)
    assert {row["resource"]: row["over"] for row in change["must_go"]} == {"memory_mib": 512, "instances": 1}
    assert set(change["must_go"][0]) == set(plan_shapes.MustGoShape().fields)
    assert set(change["must_go"][0]["holders"][0]) == set(plan_shapes.HolderShape().fields)
    assert rows() == before
    assert cloud_of(user).plan_id == "household"


def test_a_change_that_does_not_fit_is_refused_with_the_list(cluster: MemoryCluster) -> None:
    offer()
    user, program, _ = with_apps(cluster, 3)
    before = rows()
    answer = program("POST", "cloud/plan/", {"plan": "small"})
    assert error(answer) == (422, "plan_too_small", "plan")
    assert [row["resource"] for row in answer.json()["error"]["detail"]["must_go"]] == ["memory_mib", "instances"]
    assert rows() == before and cloud_of(user).plan_id == "household"


def test_a_change_is_one_operation_however_often_it_is_asked_for(cluster: MemoryCluster) -> None:
    offer()
    user, program, _ = with_apps(cluster, 1)
    first = program("POST", "cloud/plan/", {"plan": "small"}, key="k")
    assert (first.status_code, first.json()["kind"]) == (202, "change_plan")
    assert program("POST", "cloud/plan/", {"plan": "small"}, key="k").json() == first.json()
    assert error(program("POST", "cloud/plan/", {"plan": "small"})) == (422, "same_plan", "plan")
    settle()
    assert program("GET", f"operations/{first.json()['id']}/").json()["state"] == "succeeded"
    assert Operation.objects.filter(kind="change_plan").count() == 1
    assert program("GET", "cloud/").json()["quota"]["instances"] == 2


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "plan"),
        ({"plan": "nothing"}, "plan"),
        ({"plan": "hidden"}, "plan"),
        ({"plan": "a\x00"}, "plan"),
        ({"plan": "small", "quota": {"instances": 99}}, "quota"),
        ({"plan": "small", "price_minor": 0}, "price_minor"),
    ],
)
def test_mistakes_name_the_field(cluster: MemoryCluster, body: dict[str, object], field: str) -> None:
    offer()
    offer("hidden", is_visible=False)
    user = active_person(cluster)
    for query in ("", "?dry_run=true"):
        assert error(Program(user)("POST", f"cloud/plan/{query}", body))[::2] == (422, field)
    assert cloud_of(user).plan_id == "household"


def test_a_token_that_may_not_change_the_cloud_changes_no_plan(cluster: MemoryCluster) -> None:
    offer()
    user = active_person(cluster)
    assert Program(user, ("instances",))("POST", "cloud/plan/", {"plan": "small"}).status_code == 403
    assert Program(user, ("read",))("POST", "cloud/plan/?dry_run=true", {"plan": "small"}).status_code == 403
    assert Program()("POST", "cloud/plan/", {"plan": "small"}).status_code == 401
    assert cloud_of(user).plan_id == "household"


def test_dry_runs_of_install_and_update_say_what_remains_and_write_nothing(cluster: MemoryCluster) -> None:
    user, program, slug = with_apps(cluster, 1)
    before = rows()
    install = program("POST", "instances/?dry_run=true", {"app": slug}).json()
    assert (install["quota_after"]["instances"], install["quota"]["instances"], install["price_delta"]) == (2, 20, 0)
    grant_override(None, user.cloud, {"instances": 1}, reason="r")
    before["Override"] += 1
    before["Event"] += 1
    assert error(program("POST", "instances/?dry_run=true", {"app": slug}))[1] == "quota_exceeded"
    assert rows() == before
