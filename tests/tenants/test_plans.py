"""The plans that an operator offers: what they may say, and that a change of one reaches its clouds."""

from typing import Any

import pytest

from tenants.errors import Conflict, Refused
from tenants.models import Cloud, DataServer, Event, Plan
from tenants.models.plans import BOUNDS
from tenants.reconcile import alerts
from tenants.services import plan_files
from tenants.services.plan_changes import change_plan
from tenants.services.plans import archive_plan, create_plan, delete_plan, edit_plan
from tests.offers import TERMS, offer
from tests.worlds import MemoryCluster, active_person, cloud_of, settle

pytestmark = pytest.mark.django_db

WRONG = [
    ("cpu_millis", -1),
    ("cpu_millis", 1_000_001),
    ("memory_mib", -1),
    ("memory_mib", 2**63),
    ("storage_mib", -(2**70)),
    ("storage_mib", 10**30),
    ("instances", 10_001),
    ("instances", True),
    ("instances", 1.5),
    ("instances", "3"),
    ("instances", None),
    ("builds", 0),
    ("sleep_after_s", 59),
    ("domains", -1),
    ("backups_kept", 1001),
    ("traffic_bytes", 10**15 + 1),
    ("rate_class", "boundless"),
    ("price_minor", -1),
    ("price_minor", 100_000_000),
    ("price_minor", 4.99),
    ("currency", "EUR"),
    ("currency", "euro"),
    ("currency", "zzz"),
    ("interval", "week"),
    ("trial_days", 366),
    ("trial_days", 14),  # of a plan without a price
    ("name", ""),
    ("name", "x" * 61),
    ("name", "Two\nlines"),
    ("name", 5),
    ("description", "\x00"),
    ("is_visible", 1),
    ("archived_at", None),
]


@pytest.mark.parametrize(("field", "value"), WRONG)
def test_terms_that_cannot_be_are_refused_with_the_field(field: str, value: Any) -> None:
    offer()
    for attempt in (
        lambda: create_plan(None, "other", {**TERMS, field: value}),
        lambda: edit_plan(None, "small", {field: value}),
    ):
        with pytest.raises(Refused) as refusal:
            attempt()
        assert (refusal.value.code, refusal.value.field) == ("invalid_plan", field)
    assert not Plan.objects.filter(pk="other").exists()
    assert getattr(Plan.objects.get(pk="small"), field) == getattr(Plan(slug="small", **TERMS), field)


@pytest.mark.parametrize(
    ("currency", "fits", "does_not"), [("kwd", 5120, 5124), ("tnd", 10, 1), ("isk", 500, 501), ("ugx", 100, 50)]
)
def test_a_price_that_no_card_can_be_charged_is_refused(currency: str, fits: int, does_not: int) -> None:
    offer(price_minor=fits, currency=currency)
    for attempt in (
        lambda: create_plan(None, "other", {**TERMS, "price_minor": does_not, "currency": currency}),
        lambda: edit_plan(None, "small", {"price_minor": does_not}),
        lambda: plan_files.import_plans(
            None, {"freehold_plans": 1, "plans": [{"slug": "small", "price_minor": does_not}]}
        ),
    ):
        with pytest.raises(Refused) as refusal:
            attempt()
        assert str(refusal.value.field).endswith("price_minor")
    assert Plan.objects.get(pk="small").price_minor == fits
    for whole in ("jpy", "krw", "xof"):
        edit_plan(None, "small", {"price_minor": does_not, "currency": whole})


@pytest.mark.parametrize(
    "field", ["cpu_millis", "memory_mib", "storage_mib", "instances", "traffic_bytes", "price_minor"]
)
def test_a_plan_at_either_end_of_its_bounds_can_be_had_and_counted(cluster: MemoryCluster, field: str) -> None:
    user = active_person(cluster)
    for number, value in enumerate(BOUNDS[field]):
        plan = create_plan(None, f"end-{number}", {**TERMS, field: value})
        change_plan(user, user.cloud, plan.pk)
        settle()
        user.cloud.refresh_from_db()
        assert (getattr(user.cloud.plan, field), user.cloud.observed_generation) == (value, user.cloud.generation)
        alerts.look()


@pytest.mark.parametrize("slug", ["", "Upper", "a b", "a--b", "-a", "ü", "a" * 41, "a_b", "a/b", "a\x00"])
def test_a_slug_that_is_no_slug_is_refused(db: None, slug: str) -> None:
    with pytest.raises(Refused) as refusal:
        create_plan(None, slug, TERMS)
    assert refusal.value.field == "slug"


def test_a_slug_is_given_once() -> None:
    offer()
    with pytest.raises(Refused) as refusal:
        create_plan(None, "small", TERMS)
    assert (refusal.value.code, refusal.value.field) == ("slug_taken", "slug")


def test_the_plan_of_newcomers_is_free_and_holds_twenty_apps(cluster: MemoryCluster) -> None:
    plan = cloud_of(active_person(cluster)).plan
    assert (plan.price_minor, plan.instances, plan.cpu_millis, plan.memory_mib) == (0, 20, 20_000, 20_480)
    for refused in (
        lambda: edit_plan(None, plan.pk, {"price_minor": 500}),
        lambda: archive_plan(None, plan.pk, archived=True),
        lambda: delete_plan(None, plan.pk),
    ):
        with pytest.raises(Refused):
            refused()
    plan.refresh_from_db()
    assert (plan.price_minor, plan.archived_at) == (0, None)


def test_edited_quotas_reach_every_cloud_and_its_data_server(cluster: MemoryCluster) -> None:
    offer()
    users = [active_person(cluster) for _ in range(3)]
    for user in users[:2]:
        change_plan(user, user.cloud, "small")
    settle()
    before = dict(DataServer.objects.values_list("cloud_id", "generation"))
    generations = dict(Cloud.objects.values_list("pk", "generation"))
    edit_plan(None, "small", {"memory_mib": 4096})
    for user in users[:2]:
        assert cloud_of(user).quota.memory_mib == 4096
    settle()
    assert [cluster.clouds[user.cloud.pk].memory_mib for user in users] == [4096, 4096, 20_480]
    assert Cloud.objects.get(owner=users[2]).generation == generations[users[2].cloud.pk]
    assert all(row.generation > before[row.cloud_id] for row in DataServer.objects.filter(cloud__plan="small"))


def test_what_the_cluster_does_not_know_of_leaves_it_alone(cluster: MemoryCluster) -> None:
    offer()
    user = active_person(cluster)
    change_plan(user, user.cloud, "small")
    settle()
    generation, calls = cloud_of(user).generation, list(cluster.calls)
    edit_plan(None, "small", {"price_minor": 900, "description": "Dearer", "domains": 3})
    settle()
    assert (cloud_of(user).generation, cluster.calls) == (generation, calls)
    reason = Event.objects.filter(subject="small").latest("at").reason
    assert "price_minor 0 → 900" in reason and "domains 20 → 3" in reason


def test_the_same_again_changes_and_records_nothing() -> None:
    offer()
    events = Event.objects.count()
    edit_plan(None, "small", TERMS)
    archive_plan(None, "small", archived=False)
    assert Event.objects.count() == events


def test_a_plan_that_clouds_have_is_archived_and_not_deleted(cluster: MemoryCluster) -> None:
    offer()
    user = active_person(cluster)
    change_plan(user, user.cloud, "small")
    with pytest.raises(Conflict) as refusal:
        delete_plan(None, "small")
    assert refusal.value.code == "plan_in_use"
    archive_plan(None, "small", archived=True)
    assert cloud_of(user).quota.instances == 2
    offer("unused")
    delete_plan(None, "unused")
    delete_plan(None, "unused")
    assert not Plan.objects.filter(pk="unused").exists()


def test_a_file_of_plans_comes_back_as_it_went() -> None:
    offer(price_minor=500, trial_days=14, sleep_after_s=900, traffic_bytes=10**11)
    archive_plan(None, "small", archived=True)
    document = plan_files.export_plans()
    assert plan_files.import_plans(None, document).unchanged == ("household", "small")
    Plan.objects.filter(pk="small").delete()
    done = plan_files.import_plans(None, document)
    assert (done.created, done.changed, done.unchanged) == (("small",), (), ("household",))
    assert plan_files.export_plans() == document
    document["plans"][1]["memory_mib"] = 2048
    assert plan_files.import_plans(None, document, dry_run=True).changed == ("small",)
    assert Plan.objects.get(pk="small").memory_mib == 1024
    assert plan_files.import_plans(None, document).changed == ("small",)
    assert Plan.objects.get(pk="small").memory_mib == 2048


ENTRY = {"slug": "other", **TERMS}


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ([], "freehold_plans"),
        ({"plans": []}, "freehold_plans"),
        ({"freehold_plans": 2, "plans": [ENTRY]}, "freehold_plans"),
        ({"freehold_plans": 1}, "plans"),
        ({"freehold_plans": 1, "plans": []}, "plans"),
        ({"freehold_plans": 1, "plans": {"slug": "x"}}, "plans"),
        ({"freehold_plans": 1, "plans": [ENTRY] * 201}, "plans"),
        ({"freehold_plans": 1, "plans": [ENTRY], "more": 1}, "more"),
        ({"freehold_plans": 1, "plans": [ENTRY, ENTRY]}, "plans[1].slug"),
        ({"freehold_plans": 1, "plans": ["small"]}, "plans[0].slug"),
        ({"freehold_plans": 1, "plans": [ENTRY, {**ENTRY, "slug": "B"}]}, "plans[1].slug"),
        ({"freehold_plans": 1, "plans": [ENTRY, {**ENTRY, "slug": "b", "memory_mib": -1}]}, "plans[1].memory_mib"),
        ({"freehold_plans": 1, "plans": [{**ENTRY, "colour": "red"}]}, "plans[0].colour"),
        ({"freehold_plans": 1, "plans": [{**ENTRY, "archived": "no"}]}, "plans[0].archived"),
        ({"freehold_plans": 1, "plans": [ENTRY, {"slug": "b", "name": "B"}]}, "plans[1].cpu_millis"),
    ],
)
def test_a_file_with_a_mistake_names_the_place_and_changes_nothing(document: Any, field: str) -> None:
    before = plan_files.export_plans()
    with pytest.raises(Refused) as refusal:
        plan_files.import_plans(None, document)
    assert refusal.value.field == field
    assert plan_files.export_plans() == before


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b"[" * 100_000, b" " * (1024 * 1024 + 1)])
def test_what_is_no_file_of_plans_is_refused(text: bytes) -> None:
    with pytest.raises(Refused) as refusal:
        plan_files.parse(text)
    assert refusal.value.field == "file"
