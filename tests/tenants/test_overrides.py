"""What operators give a cloud beside its plan: it counts from at once until its end, and says why."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tenants.errors import Conflict, QuotaExceeded, Refused
from tenants.models import Cloud, DataServer, Event, Override
from tenants.reconcile import limits
from tenants.services import clouds
from tenants.services.closing import close_account
from tenants.services.instances import install_app
from tenants.services.overrides import end_override, grant_override
from tests.worlds import MemoryCluster, active_person, cloud_of, released, settle

pytestmark = pytest.mark.django_db


def past(override: Override) -> Override:
    """Its date comes."""
    Override.objects.filter(pk=override.pk).update(ends_at=timezone.now() - timedelta(seconds=1))
    override.refresh_from_db()
    return override


def test_it_holds_for_the_next_install_and_reaches_the_cluster(cluster: MemoryCluster) -> None:
    release, user = released(cluster), active_person(cluster)
    operator = active_person(cluster, "operator")
    override = grant_override(operator, user.cloud, {"instances": 1}, reason="  Too many mails  ")
    assert (override.reason, override.granted_by) == ("Too many mails", operator)
    install_app(user, app_slug=release.app.slug)
    with pytest.raises(QuotaExceeded):
        install_app(user, app_slug=release.app.slug)
    settle()
    assert cluster.clouds[user.cloud.pk].instances == 1
    event = Event.objects.filter(subject=user.cloud.pk).latest("at")
    assert (event.actor, "instances 1" in event.reason, "Too many mails" in event.reason) == (operator.pk, True, True)


def test_the_newest_that_names_a_figure_has_it_and_others_keep_theirs(cluster: MemoryCluster) -> None:
    cloud = active_person(cluster).cloud
    grant_override(None, cloud, {"instances": 5, "memory_mib": 512, "rate_class": "large"}, reason="a")
    second = grant_override(None, cloud, {"instances": 7, "traffic_bytes": 0, "sleep_after_s": 600}, reason="b")
    allowance = cloud_of(cloud.owner).allowance
    assert (allowance.quota.instances, allowance.quota.memory_mib, allowance.quota.cpu_millis) == (7, 512, 20_000)
    assert (allowance.rate_class, allowance.traffic_bytes, allowance.sleep_after_s) == ("large", 0, 600)
    end_override(None, second)
    end_override(None, second)
    allowance = cloud_of(cloud.owner).allowance
    assert (allowance.quota.instances, allowance.traffic_bytes) == (5, None)
    assert allowance.sleep_after_s == cloud.plan.sleep_after_s
    grant_override(None, cloud, {"sleep_after_s": 0}, reason="never")
    assert cloud_of(cloud.owner).allowance.sleep_after_s is None


def test_one_that_has_run_out_counts_no_more_before_any_sweep_comes(cluster: MemoryCluster) -> None:
    release, user = released(cluster), active_person(cluster)
    ends_at = timezone.now() + timedelta(days=7)
    override = grant_override(None, user.cloud, {"instances": 0}, reason="For a week", ends_at=ends_at)
    settle()
    with pytest.raises(QuotaExceeded):
        install_app(user, app_slug=release.app.slug)
    past(override)
    install_app(user, app_slug=release.app.slug)
    prefetched = Cloud.objects.select_related("plan").prefetch_related("overrides").get(pk=user.cloud.pk)
    assert prefetched.quota.instances == cloud_of(user).quota.instances == 20
    assert cluster.clouds[user.cloud.pk].instances == 0  # the cluster hears of it in the sweep


def test_the_sweep_brings_cluster_and_data_server_in_line_once(cluster: MemoryCluster) -> None:
    release, user = released(cluster), active_person(cluster)
    install_app(user, app_slug=release.app.slug)
    ends_at = timezone.now() + timedelta(days=7)
    override = grant_override(None, user.cloud, {"storage_mib": 40_000}, reason="For a week", ends_at=ends_at)
    settle()
    limits.end_overrides()
    assert cluster.clouds[user.cloud.pk].storage_mib == 40_000
    past(override)
    server = DataServer.objects.get(cloud=user.cloud).generation
    limits.end_overrides()
    events = Event.objects.count()
    limits.end_overrides()
    settle()
    override.refresh_from_db()
    assert override.ended_at == override.ends_at
    assert cluster.clouds[user.cloud.pk].storage_mib == 20_480
    assert DataServer.objects.get(cloud=user.cloud).generation == server + 1
    assert Event.objects.count() == events


def test_the_sweep_survives_being_killed_in_the_middle(cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    users = [active_person(cluster) for _ in range(3)]
    ends_at = timezone.now() + timedelta(days=1)
    for user in users:
        past(grant_override(None, user.cloud, {"instances": 1}, reason="r", ends_at=ends_at))
    settle()
    touched: list[str] = []
    touch = limits.touch

    def dies_at_the_second(ids: list[str]) -> None:
        touched.extend(ids)
        if len(touched) == 2:
            raise KeyboardInterrupt
        touch(ids)

    monkeypatch.setattr(limits, "touch", dies_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        limits.end_overrides()
    assert Override.objects.filter(ended_at__isnull=True).count() == 2
    monkeypatch.setattr(limits, "touch", touch)
    limits.end_overrides()
    settle()
    assert [cluster.clouds[user.cloud.pk].instances for user in users] == [20, 20, 20]


def test_below_what_is_used_it_removes_nothing(cluster: MemoryCluster) -> None:
    release, user = released(cluster), active_person(cluster)
    for _ in range(2):
        install_app(user, app_slug=release.app.slug)
    settle()
    grant_override(None, user.cloud, {"instances": 1, "memory_mib": 512}, reason="r")
    settle()
    assert set(user.cloud.instances.values_list("state", flat=True)) == {"running"}


@pytest.mark.parametrize(
    ("figures", "more", "field"),
    [
        ({}, {}, "figures"),
        ({"instances": None}, {}, "figures"),
        ({"colour": 1}, {}, "colour"),
        ({"instances": -1}, {}, "instances"),
        ({"memory_mib": 10**20}, {}, "memory_mib"),
        ({"cpu_millis": True}, {}, "cpu_millis"),
        ({"storage_mib": "5"}, {}, "storage_mib"),
        ({"traffic_bytes": 10**16}, {}, "traffic_bytes"),
        ({"sleep_after_s": 5}, {}, "sleep_after_s"),
        ({"sleep_after_s": -1}, {}, "sleep_after_s"),
        ({"rate_class": "boundless"}, {}, "rate_class"),
        ({"instances": 1}, {"reason": "  "}, "reason"),
        ({"instances": 1}, {"reason": "x" * 301}, "reason"),
        ({"instances": 1}, {"reason": "two\nlines"}, "reason"),
        ({"instances": 1}, {"ends_at": timezone.now() - timedelta(days=1)}, "ends_at"),
    ],
)
def test_what_cannot_be_given_is_refused_with_the_field(
    cluster: MemoryCluster, figures: dict[str, Any], more: dict[str, Any], field: str
) -> None:
    cloud = active_person(cluster).cloud
    with pytest.raises(Refused) as refusal:
        grant_override(None, cloud, figures, **{"reason": "r", **more})
    assert refusal.value.field == field
    assert not Override.objects.exists()


def test_a_closing_cloud_is_given_nothing(cluster: MemoryCluster) -> None:
    user = active_person(cluster)
    override = grant_override(None, user.cloud, {"instances": 1}, reason="r")
    close_account(user)
    with pytest.raises(Conflict):
        grant_override(None, user.cloud, {"instances": 1}, reason="r")
    with pytest.raises(Conflict):
        end_override(None, override)


def test_there_is_an_end_to_how_many_count(cluster: MemoryCluster) -> None:
    cloud = active_person(cluster).cloud
    for _ in range(50):
        grant_override(None, cloud, {"domains": 1}, reason="r")
    with pytest.raises(Conflict):
        grant_override(None, cloud, {"domains": 1}, reason="r")


def test_setting_a_quota_takes_the_place_of_all_that_counted(cluster: MemoryCluster) -> None:
    user = active_person(cluster)
    grant_override(None, user.cloud, {"instances": 1, "domains": 1}, reason="r")
    none = {"cpu_millis": None, "memory_mib": None, "storage_mib": None, "instances": None}
    clouds.set_quota(None, user.cloud, **{**none, "instances": 3})
    assert (cloud_of(user).quota.instances, cloud_of(user).allowance.domains) == (3, 20)
    clouds.set_quota(None, user.cloud, **none)
    assert cloud_of(user).quota.instances == 20
