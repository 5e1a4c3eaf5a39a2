"""Scheduled actions on the instance's page and on their own: when, how it went, buttons, and choosing other times."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from apps_catalog.models import Release
from tenants.models import Action, ActionRun, Instance
from tests.pages.conftest import Person, install
from tests.pages.test_cost_of_pages import _queries


@pytest.fixture
def copy(ada: Person, notes: Release) -> Instance:
    return install(ada, notes, "mine")


def action(instance: Instance, key: str = "tidy", **columns: object) -> Action:
    values: dict[str, object] = {"name": "Tidy <up>", "description": "Sweeps", "default_interval": "1 day"}
    values |= {"micro": "main", "counted_from": timezone.now(), "next_due": datetime(2026, 12, 24, 9, 30, tzinfo=UTC)}
    return Action.objects.create(instance=instance, key=key, **{**values, **columns})


def run(of: Action, **columns: object) -> ActionRun:
    now = timezone.now()
    values: dict[str, object] = {"trigger": "schedule", "due_at": now, "created_at": now, "sent_at": now}
    values |= {"finished_at": now, "result": "failed", "http_status": 500, "duration_ms": 1234, "answer": "<b>no</b>"}
    return ActionRun.objects.create(action=of, **{**values, "error": "It answered 500.", **columns})


def page(person: Person, instance: Instance, more: str = "") -> str:
    answer = person.browser.get(f"/instances/{instance.pk}/{more}")
    assert answer.status_code == 200
    return answer.content.decode()


def test_an_app_without_actions_has_no_such_section(ada: Person, copy: Instance) -> None:
    assert "Schedules" not in page(ada, copy)


def test_the_instances_page_says_when_it_is_done_and_how_it_went(ada: Person, copy: Instance) -> None:
    run(action(copy))
    text = page(ada, copy)
    for words in ("Tidy &lt;up&gt;", "Sweeps", "every day", "24 Dec, 09:30 UTC", "failed", "Run now", "Switch off"):
        assert words in text, words


def test_an_actions_page_shows_each_run_with_its_answer_escaped(ada: Person, copy: Instance) -> None:
    one = action(copy, "a b/c")
    run(one)
    run(one, trigger="person", due_at=timezone.now() + timedelta(seconds=1), result="lost", http_status=None, answer="")
    text = page(ada, copy, "actions/a%20b%2Fc/")
    for words in ("It answered 500.", "&lt;b&gt;no&lt;/b&gt;", "1.2 s", "500", "by hand", "lost"):
        assert words in text, words


@pytest.mark.parametrize(
    ("sent", "interval"),
    [
        ({"way": "rate", "every": "15", "unit": "minute"}, "15 minutes"),
        ({"way": "rate", "every": "1", "unit": "hour"}, "1 hour"),
        ({"way": "daily", "time": "07:05"}, "5 7 * * *"),
        ({"way": "weekly", "time": "18:30", "weekday": "0"}, "30 18 * * 0"),
        ({"way": "monthly", "time": "00:00", "day": "31"}, "0 0 31 * *"),
        ({"way": "cron", "interval": "0/20 9-17 * * mon-fri"}, "0/20 9-17 * * mon-fri"),
        ({"way": "own"}, ""),
    ],
)
def test_other_times_are_chosen_without_knowing_cron(
    ada: Person, copy: Instance, sent: dict[str, str], interval: str
) -> None:
    one = action(copy, interval="3 days")
    answer = ada.browser.post(f"/instances/{copy.pk}/actions/tidy/", sent)
    assert (answer.status_code, answer["Location"]) == (302, f"/instances/{copy.pk}/actions/tidy/")
    one.refresh_from_db()
    assert one.interval == interval
    assert one.next_due is not None and one.next_due < timezone.now() + timedelta(days=63)


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"way": "daily"},
        {"way": "rate", "every": "0", "unit": "hour"},
        {"way": "monthly", "time": "00:00", "day": "32"},
        {"way": "cron", "interval": "0 0 30 2 *"},
        {"way": "cron", "interval": "* * *"},
        {"way": "weekly", "time": "25:00", "weekday": "1"},
    ],
)
def test_what_is_no_time_is_said_beside_the_field_and_changes_nothing(
    ada: Person, copy: Instance, sent: dict[str, str]
) -> None:
    one = action(copy, interval="3 days")
    answer = ada.browser.post(f"/instances/{copy.pk}/actions/tidy/", sent)
    assert answer.status_code == 422
    assert "errorlist" in answer.content.decode()
    before = one.next_due
    one.refresh_from_db()
    assert (one.interval, one.next_due) == ("3 days", before)


def test_the_buttons_do_what_they_say(ada: Person, copy: Instance) -> None:
    one = action(copy)
    ada.browser.post(f"/instances/{copy.pk}/actions/tidy/switch/", {"on": "no"})
    one.refresh_from_db()
    assert (one.is_on, one.next_due) == (False, None)
    assert "Switch on" in page(ada, copy)
    first = ada.browser.post(f"/instances/{copy.pk}/actions/tidy/run/", {"from": "action"})
    assert first["Location"] == f"/instances/{copy.pk}/actions/tidy/"
    ada.browser.post(f"/instances/{copy.pk}/actions/tidy/run/")
    assert "being done just now" in page(ada, copy)
    assert [run.trigger for run in one.runs.all()] == ["person"]


@pytest.mark.parametrize("more", ["", "run/", "switch/"])
def test_what_is_not_theirs_is_not_there(ada: Person, stranger: Person, copy: Instance, more: str) -> None:
    action(copy)
    path = f"/instances/{copy.pk}/actions/tidy/{more}"
    assert stranger.browser.post(path, {"on": "no"}).status_code == 404
    assert Action.objects.get().is_on and not ActionRun.objects.exists()
    assert ada.browser.get(f"/instances/{copy.pk}/actions/none/").status_code == 404


def test_twenty_five_actions_cost_the_queries_of_one(ada: Person, copy: Instance) -> None:
    path = f"/instances/{copy.pk}/"
    run(action(copy))
    few = _queries(ada.browser, path)
    for n in range(24):
        run(action(copy, f"more{n}"))
    assert _queries(ada.browser, path) == few
