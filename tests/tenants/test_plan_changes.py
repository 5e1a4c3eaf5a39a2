"""Another plan for a cloud: one operation, which changes everything or nothing."""

from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

import pytest
from django.db import connection

from k8s.errors import Permanent, Temporary
from tenants.errors import Conflict, QuotaExceeded, Refused
from tenants.models import Cloud, Collection, DataServer, Event, Instance, Operation, OperationStep, User
from tenants.services.closing import close_account
from tenants.services.instances import install_app, remove_instance
from tenants.services.overrides import grant_override
from tenants.services.plan_changes import change_plan, plan_change
from tenants.services.plans import archive_plan
from tenants.services.quota import use_of
from tenants.services.retry import retry_operation
from tenants.states import CloudState, WorkState, move
from tests.offers import offer
from tests.worlds import MemoryCluster, active_person, cloud_of, new_person, released, settle

pytestmark = pytest.mark.django_db


def with_apps(cluster: MemoryCluster, number: int) -> User:
    release, user = released(cluster), active_person(cluster)
    for n in range(number):
        install_app(user, app_slug=release.app.slug, alias=f"copy-{n}")
    settle()
    return user


def state_of(operation: Operation) -> tuple[str, dict[str, str]]:
    operation.refresh_from_db()
    return operation.state, dict(operation.steps.values_list("name", "state"))


def everything(user: User) -> list[Any]:
    """What a refused change must leave as it is."""
    cloud = Cloud.objects.get(owner=user)
    counts = [model.objects.count() for model in (Operation, OperationStep, Event, Instance, Collection)]
    servers = list(DataServer.objects.filter(cloud=cloud).values())
    return [cloud.plan_id, cloud.generation, counts, servers, list(cloud.instances.values())]


def test_the_new_quota_holds_at_once_and_reaches_the_cluster_within_the_operation(cluster: MemoryCluster) -> None:
    offer("large", instances=40, memory_mib=40_000)
    user = with_apps(cluster, 1)
    server = DataServer.objects.get(cloud__owner=user)
    operation = change_plan(user, user.cloud, "large")
    assert cloud_of(user).quota.instances == 40
    assert state_of(operation) == ("queued", {"fit": "succeeded", "plan": "succeeded", "namespace": "queued"})
    settle()
    assert state_of(operation)[0] == "succeeded"
    assert (cluster.clouds[user.cloud.pk].instances, cluster.clouds[user.cloud.pk].memory_mib) == (40, 40_000)
    assert DataServer.objects.get(cloud__owner=user).generation == server.generation + 1
    calls = list(cluster.calls)
    settle()
    assert cluster.calls == calls


def test_one_that_is_too_small_lists_all_that_must_go_and_changes_nothing(cluster: MemoryCluster) -> None:
    offer()
    user = with_apps(cluster, 3)
    kept = Collection.objects.create(cloud=user.cloud, name="diary", size_bytes=900 * 1024 * 1024)
    before = everything(user)
    with pytest.raises(Refused) as refusal:
        change_plan(user, user.cloud, "small")
    assert (refusal.value.code, refusal.value.field) == ("plan_too_small", "plan")
    found = {row["resource"]: row for row in refusal.value.detail["must_go"]}
    assert {name: (row["used"], row["limit"], row["over"]) for name, row in found.items()} == {
        "memory_mib": (1536, 1024, 512),
        "storage_mib": (2400, 2000, 400),
        "instances": (3, 2, 1),
    }
    assert found["storage_mib"]["holders"][0] == {
        "kind": "collection",
        "id": kept.pk,
        "name": "diary",
        "amount": 900,
    }
    assert [row["name"] for row in found["instances"]["holders"]] == ["copy-0", "copy-1", "copy-2"]
    assert str(refusal.value).endswith("512 MiB of memory, 400 MiB of storage, 1 app.")
    assert everything(user) == before


def test_it_fits_when_exactly_that_has_gone(cluster: MemoryCluster) -> None:
    offer()
    user = with_apps(cluster, 3)
    (change,) = [plan_change(cloud_of(user), plan) for plan in [offer("tiny", instances=0)]]
    assert not change.fits
    remove_instance(user, user.cloud.instances.first(), delete_data=True)
    with pytest.raises(Refused):
        change_plan(user, user.cloud, "small")  # it still holds its room while it is being removed
    settle()
    operation = change_plan(user, user.cloud, "small")
    settle()
    assert state_of(operation)[0] == "succeeded"
    assert cluster.clouds[user.cloud.pk].instances == 2


def test_overrides_count_for_whether_it_fits(cluster: MemoryCluster) -> None:
    offer()
    user = with_apps(cluster, 3)
    figures = {"instances": 3, "memory_mib": 2048}
    grant_override(None, user.cloud, figures, reason="A friend of the house")
    change_plan(user, user.cloud, "small")
    assert cloud_of(user).quota.instances == 3


@pytest.mark.parametrize(
    ("slug", "code"), [("nothing", "no_plan"), ("hidden", "no_plan"), ("old", "no_plan"), ("household", "same_plan")]
)
def test_what_cannot_be_chosen_is_refused(cluster: MemoryCluster, slug: str, code: str) -> None:
    offer("hidden", is_visible=False)
    offer("old")
    archive_plan(None, "old", archived=True)
    user = active_person(cluster)
    before = everything(user)
    with pytest.raises(Refused) as refusal:
        change_plan(user, user.cloud, slug)
    assert (refusal.value.code, refusal.value.field) == (code, "plan")
    assert everything(user) == before


def test_an_operator_may_give_one_that_is_not_on_offer(cluster: MemoryCluster) -> None:
    offer("hidden", is_visible=False)
    user = active_person(cluster)
    change_plan(None, user.cloud, "hidden", by_operator=True, reason="Agreed by mail")
    assert cloud_of(user).plan_id == "hidden"
    assert "Agreed by mail" in Event.objects.filter(subject=user.cloud.pk).latest("at").reason


def test_a_cloud_that_is_closing_keeps_its_plan_and_a_suspended_one_may_change(cluster: MemoryCluster) -> None:
    offer("large", instances=40)
    user = active_person(cluster)
    move(cloud_of(user), CloudState.SUSPENDED)
    operation = change_plan(user, user.cloud, "large")
    settle()
    assert (state_of(operation)[0], cloud_of(user).state) == ("succeeded", CloudState.SUSPENDED)
    close_account(user)
    with pytest.raises(Conflict):
        change_plan(user, user.cloud, "household")


def test_changed_before_the_namespace_is_made_both_operations_end(cluster: MemoryCluster) -> None:
    offer()
    user = new_person()
    operation = change_plan(user, user.cloud, "small")
    settle()
    assert state_of(operation)[0] == "succeeded"
    assert Operation.objects.get(kind="create_cloud").state == WorkState.SUCCEEDED
    assert cluster.clouds[user.cloud.pk].instances == 2


def test_changed_again_the_first_operation_is_called_off(cluster: MemoryCluster) -> None:
    offer()
    offer("large", instances=40)
    user = active_person(cluster)
    first, second = change_plan(user, user.cloud, "small"), change_plan(user, user.cloud, "large")
    settle()
    assert (state_of(first)[0], state_of(second)[0]) == ("cancelled", "succeeded")
    assert cluster.clouds[user.cloud.pk].instances == 40


class Killed(BaseException):
    """As if the worker had been killed at this point."""


@pytest.mark.parametrize("moment", ["break_before", "break_after"])
def test_a_worker_killed_around_the_call_leaves_work_that_another_ends(cluster: MemoryCluster, moment: str) -> None:
    offer()
    user = active_person(cluster)
    operation = change_plan(user, user.cloud, "small")
    getattr(cluster, moment)["ensure_cloud"] = [Killed()]
    with pytest.raises(Killed):
        settle()
    settle()
    assert state_of(operation)[0] == "succeeded"
    assert cluster.clouds[user.cloud.pk].instances == 2


def test_a_cluster_out_of_reach_is_waited_for(cluster: MemoryCluster) -> None:
    offer()
    user = active_person(cluster)
    operation = change_plan(user, user.cloud, "small")
    cluster.break_before["ensure_cloud"] = [Temporary("the apiserver does not answer")]
    settle()
    assert state_of(operation)[0] == "running"
    Operation.objects.filter(pk=operation.pk).update(not_before=None)
    settle()
    assert state_of(operation)[0] == "succeeded"


def test_a_cluster_that_refuses_is_told_again_by_retry(cluster: MemoryCluster) -> None:
    offer()
    user = active_person(cluster)
    operation = change_plan(user, user.cloud, "small")
    cluster.break_before["ensure_cloud"] = [Permanent("quota is immutable here")]
    settle()
    assert state_of(operation) == ("failed", {"fit": "succeeded", "plan": "succeeded", "namespace": "failed"})
    assert (cloud_of(user).plan_id, cloud_of(user).quota.instances) == ("small", 2)
    operation.refresh_from_db()
    again = retry_operation(user, operation)
    settle()
    assert state_of(again)[0] == "succeeded"
    assert cluster.clouds[user.cloud.pk].instances == 2


def test_prices_are_compared_only_where_they_can_be(cluster: MemoryCluster) -> None:
    plans = {
        "five": offer("five", price_minor=500),
        "nine": offer("nine", price_minor=900),
        "dollars": offer("dollars", price_minor=900, currency="usd"),
        "year": offer("year", price_minor=9000, interval="year"),
    }
    user = active_person(cluster)
    assert plan_change(cloud_of(user), plans["five"]).price_delta_minor == 500
    assert plan_change(cloud_of(user), plans["year"]).price_delta_minor == 9000
    change_plan(user, user.cloud, "five")
    deltas = {slug: plan_change(cloud_of(user), plan).price_delta_minor for slug, plan in plans.items()}
    assert deltas == {"five": 0, "nine": 400, "dollars": None, "year": None}
    assert plan_change(cloud_of(user), user.cloud.plan.__class__.objects.get(pk="household")).price_delta_minor == -500


def test_changes_and_installs_at_once_never_leave_more_than_the_plan_allows(
    races: None, cluster: MemoryCluster
) -> None:
    """Whoever comes first: an install that fills the cloud refuses the small plan, and the other way round."""
    offer("two", instances=2)
    offer("four", instances=4, memory_mib=4096, storage_mib=4000)
    release, user = released(cluster), active_person(cluster)
    cloud_id = user.cloud.pk

    def work(seed: int) -> str:
        chance = Random(seed)
        try:
            if seed % 3:
                change_plan(user, user.cloud, chance.choice(["two", "four", "household"]))
                return "changed"
            install_app(user, app_slug=release.app.slug)
            return "installed"
        except (QuotaExceeded, Refused):
            return "refused"
        finally:
            cloud = Cloud.objects.select_related("plan").get(pk=cloud_id)
            connection.close()
            assert cloud.plan_id in ("two", "four", "household")

    with ThreadPoolExecutor(10) as pool:
        done = list(pool.map(work, range(60)))
    cloud = cloud_of(user)
    assert use_of(cloud).instances == done.count("installed") <= cloud.quota.instances
    assert Event.objects.filter(subject=cloud_id, reason__startswith="plan ").count() == done.count("changed") > 0
    open_ones = Operation.objects.filter(kind="change_plan", state__in=["queued", "running"])
    assert open_ones.count() <= 1
    settle()
    assert cluster.clouds[cloud_id].instances == cloud.quota.instances
    assert not Operation.objects.filter(kind="change_plan", state__in=["queued", "running"]).exists()
