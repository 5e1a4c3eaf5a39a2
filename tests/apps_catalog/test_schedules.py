"""When actions are due: the former platform's rates and cron fields, minute by minute."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps_catalog.schedules import in_words, next_due
from apps_catalog.spacefile.schedule import Cron, parse_interval

INSTALLED = datetime(2026, 3, 28, 14, 7, 31, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def dues(text: str, count: int, after: datetime = INSTALLED) -> list[datetime]:
    found = [next_due(text, INSTALLED, after)]
    while len(found) < count:
        found.append(next_due(text, INSTALLED, found[-1]))
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 minute", ["2026-03-28T14:08", "2026-03-28T14:09"]),
        ("5 minutes", ["2026-03-28T14:08", "2026-03-28T14:13"]),
        ("1 hour", ["2026-03-28T15:00", "2026-03-28T16:00"]),
        ("90 minutes", ["2026-03-28T14:08", "2026-03-28T15:38"]),
        ("36 hours", ["2026-03-28T15:00", "2026-03-30T03:00"]),
        ("2 days", ["2026-03-29T00:00", "2026-03-31T00:00"]),
        ("0/15 * * * *", ["2026-03-28T14:15", "2026-03-28T14:30"]),
        ("1/10 * * * *", ["2026-03-28T14:11", "2026-03-28T14:21"]),
        ("*/20 3 * * *", ["2026-03-29T03:00", "2026-03-29T03:20"]),
        ("10-30/10 9 * * mon-fri", ["2026-03-30T09:10", "2026-03-30T09:20", "2026-03-30T09:30", "2026-03-31T09:10"]),
        ("0 9 * * SUN", ["2026-03-29T09:00", "2026-04-05T09:00"]),
        ("0 9 * * 7", ["2026-03-29T09:00", "2026-04-05T09:00"]),
        ("0 9 ? * 5-7", ["2026-03-29T09:00", "2026-04-03T09:00", "2026-04-04T09:00"]),
        ("0 0 31 * *", ["2026-03-31T00:00", "2026-05-31T00:00"]),
        ("0 0 29 feb ?", ["2028-02-29T00:00", "2032-02-29T00:00"]),
        ("0 0 10/10 1,jun-jul *", ["2026-06-10T00:00", "2026-06-20T00:00", "2026-06-30T00:00", "2026-07-10T00:00"]),
        # The night in which Europe's clocks change is a night like any other.
        ("30 1-3 29 3 *", ["2026-03-29T01:30", "2026-03-29T02:30", "2026-03-29T03:30", "2027-03-29T01:30"]),
    ],
)
def test_due_times_are_those_of_the_former_platform(text: str, expected: list[str]) -> None:
    assert dues(text, len(expected)) == [at(moment) for moment in expected]


def test_a_standstill_moves_no_rate_off_its_beat() -> None:
    assert next_due("5 minutes", INSTALLED, at("2026-03-29T14:09:20")) == at("2026-03-29T14:13")


def _field(low: int, high: int, *, steps: bool = True) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    span = st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}")
    plain = st.one_of(st.just("*"), number.map(str), span)
    stepped = st.tuples(plain, st.integers(1, high)).map(lambda pair: f"{pair[0]}/{pair[1]}")
    return st.lists(st.one_of(plain, stepped) if steps else plain, min_size=1, max_size=3).map(",".join)


_DAY = st.one_of(st.tuples(_field(1, 31), st.just("*")), st.tuples(st.sampled_from("*?"), _field(0, 7, steps=False)))
_CRON = st.tuples(_field(0, 59), _field(0, 23), _field(1, 12), _DAY).map(
    lambda parts: f"{parts[0]} {parts[1]} {parts[3][0]} {parts[2]} {parts[3][1]}"
)


@given(_CRON, st.integers(0, 5 * 365 * 24 * 3600))
def test_the_next_due_time_is_the_first_minute_that_all_fields_allow(text: str, seconds: int) -> None:
    after = INSTALLED + timedelta(seconds=seconds)
    try:
        cron = parse_interval(text)
    except ValueError:
        return  # a day that none of its months has
    assert isinstance(cron, Cron)
    found = next_due(text, after, after)
    minute = after.replace(second=0, microsecond=0) + timedelta(minutes=1)
    end = min(found, minute + timedelta(days=1))  # minute by minute over years would take minutes
    while minute < end:
        assert not _allows(cron, minute)
        minute += timedelta(minutes=1)
    assert _allows(cron, found) and found > after and found.second == found.microsecond == 0


def _allows(cron: Cron, minute: datetime) -> bool:
    return (
        minute.minute in cron.minutes
        and minute.hour in cron.hours
        and minute.day in cron.days
        and minute.month in cron.months
        and minute.isoweekday() % 7 in cron.weekdays
    )


def test_due_times_only_go_forward() -> None:
    assert all(one < two for text in ("7 minutes", "*/7 * * * *") for one, two in pairwise(dues(text, 200)))


@pytest.mark.parametrize("text", ["0 0 30 2 *", "0 0 31 4,6,9,11 *"])
def test_a_day_that_never_comes_is_refused_where_it_is_written(text: str) -> None:
    with pytest.raises(ValueError, match="such a day"):
        parse_interval(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1 day", "every day"),
        ("15 minutes", "every 15 minutes"),
        ("0 9 * * mon-fri", "at 09:00 on Monday through Friday (UTC)"),
        ("0 9 ? * 1", "at 09:00 on Monday (UTC)"),
        ("no interval", "no interval"),
    ],
)
def test_an_interval_is_said_in_words(text: str, words: str) -> None:
    assert in_words(text) == words
