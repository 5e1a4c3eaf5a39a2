"""Owners are told in time, and once: at 80, at 95 and at 100 % of the traffic that their plan gives them."""

import smtplib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import transaction

from tenants import metering
from tenants.metering import Reading
from tenants.models import Instance, Limited, LimitMark, LimitNotice, Plan
from tenants.reconcile import alert_mails, alerts, limits
from tenants.reconcile.alerts import Filled, tell, traffic_of
from tenants.services.overrides import end_override, grant_override
from tenants.services.plan_changes import change_plan
from tenants.services.plans import edit_plan
from tests.clocks import Clock
from tests.offers import offer
from tests.tenants.traffic import GB, ROOM, limited, send
from tests.worlds import MemoryCluster, cloud_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def instance(clock: Clock, cluster: MemoryCluster) -> Instance:
    return limited(cluster)


def told(instance: Instance) -> list[int]:
    """The thresholds that count now."""
    rows = LimitNotice.objects.filter(cloud=instance.cloud, what=Limited.TRAFFIC, ended_at=None)
    return sorted(rows.values_list("percent", flat=True))


def subjects() -> list[str]:
    return [message.subject for message in mail.outbox]


def test_each_threshold_is_told_once_on_the_way_up(clock: Clock, instance: Instance) -> None:
    for gigabytes, counting, mails in (
        (79.9, [], 0),
        (80, [80], 1),
        (90, [80], 1),
        (96, [80, 95], 2),
        (130, [80, 95, 100], 3),
    ):
        send(clock, instance, gigabytes)
        send(clock, instance, gigabytes)
        assert (told(instance), len(mail.outbox)) == (counting, mails), gigabytes
    assert [message.to for message in mail.outbox] == [[instance.cloud.owner.email]] * 3
    assert subjects() == [
        "Your cloud has used 80 % of this month's traffic",
        "Your cloud has used 96 % of this month's traffic",
        "Your cloud's traffic for this month is used up",
    ]
    assert "have sent 80 GB of 100 GB this month" in mail.outbox[0].body
    assert "Your apps go on" in mail.outbox[2].body


def test_several_thresholds_at_once_are_one_mail(clock: Clock, instance: Instance) -> None:
    send(clock, instance, 97)
    assert (told(instance), subjects()) == ([80, 95], ["Your cloud has used 97 % of this month's traffic"])


def test_every_month_begins_anew(clock: Clock, instance: Instance) -> None:
    send(clock, instance, 101)
    clock.now = datetime(2026, 2, 1, 0, 1, tzinfo=UTC)
    alerts.look()
    assert told(instance) == []
    send(clock, instance, 182)
    assert (told(instance), len(mail.outbox)) == ([80], 2)


def test_one_that_jumps_over_the_turn_of_the_month_is_told_again(clock: Clock, instance: Instance) -> None:
    send(clock, instance, 101)
    clock.now = datetime(2026, 2, 1, tzinfo=UTC)
    send(clock, instance, 201)
    assert (told(instance), len(mail.outbox)) == ([80, 95, 100], 2)


def test_a_larger_limit_ends_what_was_told_and_is_told_itself(clock: Clock, instance: Instance) -> None:
    send(clock, instance, 96)
    offer("large", **ROOM, traffic_bytes=200 * GB)
    change_plan(None, instance.cloud, "large", by_operator=True)
    alerts.look()
    assert told(instance) == []
    send(clock, instance, 161)
    assert (told(instance), len(mail.outbox)) == ([80], 2)
    change_plan(None, instance.cloud, "household", by_operator=True)
    alerts.look()
    assert told(instance) == [] and Plan.objects.get(pk="household").traffic_bytes is None


def test_a_plan_that_becomes_smaller_tells_without_another_byte(clock: Clock, instance: Instance) -> None:
    send(clock, instance, 50)
    edit_plan(None, "small", {"traffic_bytes": 60 * GB})
    alerts.look()
    assert told(instance) == [80]
    override = grant_override(
        None, instance.cloud, {"traffic_bytes": 10 * GB}, reason="r", ends_at=clock.now + timedelta(hours=1)
    )
    alerts.look()
    assert told(instance) == [80, 95, 100]
    clock.now += timedelta(hours=2)
    limits.end_overrides()
    alerts.look()
    assert told(instance) == [80]
    end_override(None, override)


def test_back_and_forth_within_a_month_is_not_told_again(clock: Clock, instance: Instance) -> None:
    send(clock, instance, 85)
    offer("large", **ROOM, traffic_bytes=200 * GB)
    for slug in ("large", "small", "large", "small"):
        clock.now += timedelta(minutes=1)
        change_plan(None, instance.cloud, slug, by_operator=True)
        send(clock, instance, 85)
    assert (told(instance), len(mail.outbox)) == ([80], 1)


def test_the_limit_is_what_the_cloud_may_have(clock: Clock, instance: Instance) -> None:
    for figures in ({"traffic_bytes": 5}, {"instances": 3}, {"traffic_bytes": 7}):
        clock.now += timedelta(minutes=1)
        override = grant_override(None, instance.cloud, figures, reason="r", ends_at=clock.now + timedelta(days=1))
        assert traffic_of(instance.cloud_id).limit_bytes == instance.cloud.allowance.traffic_bytes
    end_override(None, override)
    for _ in range(2):
        assert traffic_of(instance.cloud_id).limit_bytes == instance.cloud.allowance.traffic_bytes
        clock.now += timedelta(days=2)
    assert traffic_of(instance.cloud_id).limit_bytes == 100 * GB


def test_a_look_costs_nothing_where_nothing_has_changed(
    clock: Clock, instance: Instance, django_assert_num_queries: Any
) -> None:
    send(clock, instance, 96)
    assert not LimitMark.objects.exists()
    with django_assert_num_queries(5):  # with the savepoint's two
        alerts.look()


def test_a_look_that_is_killed_leaves_all_of_it_to_the_next(clock: Clock, instance: Instance) -> None:
    metering.record([Reading("gate", instance.pk, bytes_out=99 * GB)])
    with transaction.atomic():
        alerts.look()
        transaction.set_rollback(True)
    assert told(instance) == []
    alerts.look()
    assert told(instance) == [80, 95]


def test_a_mail_server_that_is_down_is_tried_again_and_not_for_ever(
    clock: Clock, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise smtplib.SMTPServerDisconnected

    with monkeypatch.context() as patch:
        patch.setattr(alert_mails, "send_mail", broken)
        send(clock, instance, 85)
        assert alert_mails.due() == []
        clock.now += alert_mails.LEASE
        [again] = alert_mails.due()
    alert_mails.send(again)
    alert_mails.send(again)
    assert len(mail.outbox) == 1 and alert_mails.due() == []
    with monkeypatch.context() as patch:
        patch.setattr(alert_mails, "send_mail", broken)
        send(clock, instance, 99)
        for _ in range(alert_mails.TRIES):
            clock.now += alert_mails.LEASE
            for notice_id in alert_mails.due():
                alert_mails.send(notice_id)
    assert alert_mails.due() == [] and len(mail.outbox) == 1


def test_storage_that_hovers_is_told_once_a_month_and_not_again_while_it_stays(
    clock: Clock, instance: Instance
) -> None:
    def mails(percent: int) -> int:
        clock.now += timedelta(minutes=1)
        tell(Limited.STORAGE, [Filled(instance.cloud_id, percent, 100)])
        return len(alert_mails.due())

    assert [mails(percent) for percent in (79, 80, 79, 81, 96, 94, 97)] == [0, 1, 0, 0, 1, 0, 0]
    LimitNotice.objects.update(mail_at=None)
    clock.now = datetime(2026, 2, 2, tzinfo=UTC)
    assert [mails(percent) for percent in (97, 50, 82)] == [0, 0, 1]


def test_nobody_is_told_of_a_cloud_that_is_closing(clock: Clock, instance: Instance) -> None:
    instance.cloud.state = "closing"
    instance.cloud.save()
    send(clock, instance, 99)
    assert told(instance) == [] and not LimitMark.objects.exists() and cloud_of(instance.cloud.owner).state == "closing"
