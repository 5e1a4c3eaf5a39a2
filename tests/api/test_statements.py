"""/api/v1/cloud/usage/statements/, what /api/v1/cloud/ tells of limits, and the pages with the same."""

import csv
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from tenants import metering
from tenants.metering import Reading
from tenants.models import Instance
from tenants.reconcile import alerts
from tenants.reconcile.statements import close_month
from tenants.services.instances import install_app
from tenants.services.plan_changes import change_plan
from tests.api.client import Program, error
from tests.clocks import START, Clock
from tests.offers import offer
from tests.worlds import MemoryCluster, active_person, released

pytestmark = pytest.mark.django_db
GB = 10**9


@pytest.fixture
def instance(clock: Clock, cluster: MemoryCluster) -> Instance:
    """It used something under two plans in January, and in February."""
    offer(
        "other", cpu_millis=9000, memory_mib=9000, storage_mib=9000, instances=9, traffic_bytes=100 * GB, name="Other"
    )
    instance = install_app(active_person(cluster), app_slug=released(cluster).app.slug)[0]
    for days, total in ((0, 5), (1, 12), (30, 20)):
        clock.now = START + timedelta(days=days)
        if days == 1:
            change_plan(None, instance.cloud, "other", by_operator=True)
        metering.record([Reading("pod", instance.pk, requests=total, bytes_out=total * GB)])
    instance.cloud.refresh_from_db()
    return instance


def browser(instance: Instance) -> Client:
    client = Client()
    client.force_login(instance.cloud.owner)
    return client


def january(instance: Instance) -> Any:
    return Program(instance.cloud.owner)("GET", "cloud/usage/statements/2026-01/").json()


def test_a_statement_tells_what_fell_to_which_plan(instance: Instance) -> None:
    told = january(instance)
    assert [(period["plan"], period["total"]["requests"]) for period in told["periods"]] == [
        ("household", 5),
        ("other", 7),
    ]
    assert (told["month"], told["closed_at"], told["total"]["bytes_out"]) == ("2026-01", None, 12 * GB)
    [line] = told["periods"][1]["lines"]
    assert (line["subject"], line["title"], line["requests"]) == (instance.pk, instance.alias, 7)
    listed = Program(instance.cloud.owner)("GET", "cloud/usage/statements/").json()["results"]
    assert [(one["month"], one["closed_at"]) for one in listed] == [("2026-02", None), ("2026-01", None)]


def test_a_closed_statement_stays_whatever_is_renamed_or_comes_late(clock: Clock, instance: Instance) -> None:
    assert close_month()
    assert not close_month()
    said = january(instance)
    assert said["closed_at"] == "2026-02-09T00:00:00.000Z"
    Instance.objects.filter(pk=instance.pk).update(alias="renamed")
    metering.record([Reading("late", instance.pk, requests=1000)], START + timedelta(hours=1))
    assert january(instance) == said
    february = Program(instance.cloud.owner)("GET", "cloud/usage/statements/2026-02/").json()
    assert february["total"]["requests"] == 8 + 1000, "what comes late is not lost"
    assert february["periods"][0]["lines"][0]["title"] == "renamed"


def test_a_month_is_not_closed_before_its_last_readings_can_have_come(clock: Clock, instance: Instance) -> None:
    clock.now = datetime(2026, 2, 1, 0, 59, tzinfo=UTC)
    assert not close_month()
    clock.now = datetime(2026, 2, 1, 1, 0, tzinfo=UTC)
    assert close_month()


@pytest.mark.parametrize("month", ["2026-03", "2026-1", "2026-13", "0000-01", "january", "2026-01-01", "9999-12"])
def test_what_is_no_month_with_use_is_not_there(instance: Instance, month: str) -> None:
    assert error(Program(instance.cloud.owner)("GET", f"cloud/usage/statements/{month}/"))[0] == 404
    assert browser(instance).get(f"/cloud/usage/statements/{month}/").status_code == 404


def test_operators_see_who_is_over(clock: Clock, instance: Instance, cluster: MemoryCluster) -> None:
    operator = active_person(cluster)
    operator.is_staff, operator.operator_role = True, "support"
    operator.save()
    program, http = Program(operator, ("operator:read",)), Client()
    http.force_login(operator)
    path = f"/operator/clouds/{instance.cloud_id}/"
    alerts.look()
    assert program("GET", "operator/clouds/full/").json()["results"] == []
    assert path not in http.get("/operator/clouds/?show=traffic").content.decode()
    metering.record([Reading("gate", instance.pk, bytes_out=95 * GB)])
    alerts.look()
    [told] = program("GET", "operator/clouds/full/").json()["results"]
    assert (told["cloud"], told["used_bytes"], told["percent"]) == (instance.cloud_id, 103 * GB, 100)
    assert program("GET", "operator/clouds/full/?what=storage").json()["results"] == []
    assert error(program("GET", "operator/clouds/full/?what=cpu"))[::2] == (422, "what")
    assert path in http.get("/operator/clouds/?show=traffic").content.decode()
    assert "Sent 103 GB of 100 GB." in http.get(path).content.decode()
    assert 'href="/operator/clouds/?show=traffic"' in http.get("/operator/").content.decode()
    assert error(Program(instance.cloud.owner)("GET", "operator/clouds/full/"))[0] in (403, 404)


def test_nobody_sees_anothers_statement(instance: Instance, cluster: MemoryCluster) -> None:
    stranger = Program(active_person(cluster))
    assert error(stranger("GET", "cloud/usage/statements/2026-01/"))[0] == 404
    assert stranger("GET", "cloud/usage/statements/").json()["results"] == []


def test_the_page_and_the_file_say_the_same(instance: Instance) -> None:
    http = browser(instance)
    assert 'href="/cloud/usage/statements/2026-01/"' in http.get("/cloud/usage/").content.decode()
    page = http.get("/cloud/usage/statements/2026-01/").content.decode()
    assert "Other, since 11 January 2026, 00:00 UTC" in page and str(7 * GB) in page
    answer = http.get("/cloud/usage/statements/2026-01.csv")
    rows = list(csv.DictReader(answer.content.decode().splitlines()))
    assert [(row["plan"], row["title"], row["requests"]) for row in rows] == [
        ("household", instance.alias, "5"),
        ("other", instance.alias, "7"),
    ]
    assert answer["Content-Disposition"] == 'attachment; filename="usage-2026-01.csv"'


def test_a_limit_that_comes_near_is_told_in_every_place(clock: Clock, instance: Instance) -> None:
    program, http = Program(instance.cloud.owner), browser(instance)
    alerts.look()
    assert program("GET", "cloud/").json()["notices"] == []
    assert all("This month’s traffic" not in http.get(path).content.decode() for path in ("/", "/cloud/"))
    metering.record([Reading("gate", instance.pk, bytes_out=88 * GB)])
    alerts.look()
    [first, second] = program("GET", "cloud/").json()["notices"]
    assert (first["percent"], second["percent"], second["used_bytes"]) == (80, 95, 96 * GB)
    told = program("GET", "cloud/usage/").json()
    assert told["notices"] == [first, second]
    assert (told["traffic"]["used_bytes"], told["traffic"]["plan_bytes"]) == (96 * GB, 100 * GB)
    assert told["traffic"]["ends_at"] == "2026-03-01T00:00:00.000Z"
    for path in ("/", "/cloud/", "/cloud/usage/"):
        page = http.get(path).content.decode()
        assert "More than 95 % of this month’s traffic is used." in page and "More than 80 %" not in page, path
    assert "96 GB of 100 GB" in http.get("/cloud/usage/").content.decode()
