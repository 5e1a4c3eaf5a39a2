"""`/operator/apps/…`: an operator's look at what is to be listed and at what people report."""

import pytest
from pytest_django.fixtures import Settings

from apps_catalog.models import AppReport, Release
from tenants.api import answers
from tenants.models import User
from tenants.services import publish, reports
from tests.api.client import Program, error
from tests.worlds import MemoryCluster, active_person, settle, uploaded

pytestmark = pytest.mark.django_db
PAGE = "---\napp_name: Herons\ntagline: Counts herons\n---\nCounts herons.\n"
AREA = ("operator:*",)


@pytest.fixture
def operator(cluster: MemoryCluster) -> User:
    user = active_person(cluster, "operator")
    user.is_staff = True
    user.save()
    return user


@pytest.fixture
def waiting(cluster: MemoryCluster, settings: Settings) -> Release:
    settings.REVIEW_LISTINGS = True
    developer = active_person(cluster, "dev")
    app = publish.create_project(developer, "Herons")
    revision = uploaded(developer, app)
    settle()
    return publish.publish_release(developer, app, revision_id=revision.pk, listed=True, discovery_text=PAGE)


@pytest.fixture
def report(cluster: MemoryCluster, waiting: Release) -> AppReport:
    return reports.report_app(active_person(cluster, "reader"), waiting.app, concern="harmful", text="It mines")


def test_an_operator_approves_what_waits(operator: User, waiting: Release) -> None:
    program = Program(operator, AREA)
    (row,) = program("GET", "operator/apps/reviews/").json()["results"]
    assert set(row) == set(answers.ReviewShape().fields)
    assert (row["id"], row["app"], row["developer"]) == (waiting.pk, waiting.app.slug, waiting.app.developer.handle)
    path = f"operator/apps/reviews/{waiting.pk}/approve/"
    first = program("POST", path, {}, key="once")
    assert (first.status_code, first.json()["review"], first.json()["listed"]) == (200, "approved", True)
    assert program("POST", path, {}, key="once").json() == first.json()
    assert error(program("POST", path, {}))[:2] == (409, "not_pending")
    assert program("GET", "operator/apps/reviews/").json()["results"] == []
    assert Program()("GET", "apps/").json()["results"][0]["slug"] == waiting.app.slug


def test_an_operator_refuses_with_a_reason_that_the_developer_reads(operator: User, waiting: Release) -> None:
    program, path = Program(operator, AREA), f"operator/apps/reviews/{waiting.pk}/refuse/"
    assert error(program("POST", path, {})) == (422, "reason_missing", "note")
    assert error(program("POST", path, {"note": "x" * 301}))[2] == "note"
    assert error(program("POST", path, {"reason": "x"}))[2] == "reason"
    assert program("POST", path, {"note": "It has no page"}).json()["review"] == "refused"
    mine = Program(waiting.app.developer)("GET", f"projects/{waiting.app.slug}/releases/").json()["results"][0]
    assert (mine["review"], mine["review_note"], mine["listed"]) == ("refused", "It has no page", False)


def test_an_operator_answers_a_report_and_may_unlist_the_app(operator: User, report: AppReport) -> None:
    program = Program(operator, AREA)
    program("POST", f"operator/apps/reviews/{Release.objects.get().pk}/approve/", {})
    (row,) = program("GET", "operator/apps/reports/").json()["results"]
    assert set(row) == set(answers.ReceivedReportShape().fields)
    assert (row["text"], row["reporter"], row["closed_at"]) == ("It mines", report.reporter.handle, None)
    path = f"operator/apps/reports/{report.pk}/close/"
    assert error(program("POST", path, {"unlist": True})) == (422, "reason_missing", "note")
    report.refresh_from_db()
    assert report.closed_at is None
    closed = program("POST", path, {"unlist": True, "note": "It mines coins"})
    assert closed.status_code == 200 and closed.json()["closed_at"]
    assert program("GET", "operator/apps/reports/").json()["results"] == []
    assert Program()("GET", "apps/").json()["results"] == []
    assert program("POST", path, {}).json()["closed_at"] == closed.json()["closed_at"]


def test_a_token_that_only_reads_changes_nothing(operator: User, waiting: Release) -> None:
    reader = Program(operator, ("operator:read",))
    assert len(reader("GET", "operator/apps/reviews/").json()["results"]) == 1
    assert reader("POST", f"operator/apps/reviews/{waiting.pk}/approve/", {}).status_code == 403


@pytest.mark.parametrize("who", ["nobody", "stranger", "operator without the scope", "operator no more"])
def test_nobody_else_gets_in(cluster: MemoryCluster, operator: User, report: AppReport, who: str) -> None:
    release = Release.objects.get()
    programs = {
        "nobody": (None, ("*",)),
        "stranger": (active_person(cluster), ("*",)),
        "operator without the scope": (operator, ("*",)),
        "operator no more": (operator, AREA),
    }
    program = Program(*programs[who])
    User.objects.filter(pk=operator.pk).update(is_staff=who != "operator no more")
    calls = [
        *(("GET", "reviews/"), ("POST", f"reviews/{release.pk}/approve/"), ("POST", f"reviews/{release.pk}/refuse/")),
        *(("GET", "reports/"), ("POST", f"reports/{report.pk}/close/")),
    ]
    for method, path in calls:
        answer = program(method, f"operator/apps/{path}", None if method == "GET" else {"note": "x"})
        assert answer.status_code == (401 if who == "nobody" else 403), path
    release.refresh_from_db()
    report.refresh_from_db()
    assert release.review == "pending" and report.closed_at is None


def test_what_is_not_there_is_not_found(operator: User, waiting: Release) -> None:
    program = Program(operator, AREA)
    Release.objects.filter(pk=waiting.pk).update(review="")
    assert program("POST", f"operator/apps/reviews/{waiting.pk}/approve/", {}).status_code == 404
    assert program("POST", "operator/apps/reports/rptnone/close/", {}).status_code == 404
