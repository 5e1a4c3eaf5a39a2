"""The grammar of `default_interval`: a rate (`5 minutes`) or five cron fields in UTC.

Source: the former platform's documentation of schedules; see docs. `?` is read as `*`.
"""

import re
from dataclasses import dataclass

_RATE = re.compile(r"([0-9]{1,6}) +(minutes?|hours?|days?)")
_JAN_TO_DEC = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: number for number, name in enumerate(_JAN_TO_DEC, 1)}
_DAYS_OF = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_DAYS = {name: number for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}


@dataclass(frozen=True)
class Rate:
    """Every `value` units; `unit` is minute, hour or day."""

    value: int
    unit: str


@dataclass(frozen=True)
class Cron:
    """The allowed values of each field. `weekdays` counts from Sunday = 0."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]


@dataclass(frozen=True)
class _Field:
    name: str
    low: int
    high: int
    names: dict[str, int]
    steps: bool = True


_FIELDS = (
    _Field("minute", 0, 59, {}),
    _Field("hour", 0, 23, {}),
    _Field("day of month", 1, 31, {}),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 0, 7, _DAYS, steps=False),
)


def parse_interval(text: str) -> Rate | Cron:
    """Raises ValueError with a sentence."""
    text = text.strip()
    rate = _RATE.fullmatch(text)
    if rate:
        return _rate(int(rate[1]), rate[2])
    parts = text.split()
    if len(parts) != 5:
        raise ValueError('must be a rate such as "15 minutes" or five cron fields such as "0 9 * * mon-fri"')
    values = [_field(part, spec) for part, spec in zip(parts, _FIELDS, strict=True)]
    if parts[2] not in ("*", "?") and parts[4] not in ("*", "?"):
        raise ValueError("day of month and day of week must not both be restricted; one must be *")
    if min(values[2]) > max(_DAYS_OF[month - 1] for month in values[3]):
        raise ValueError("none of these months has such a day")
    return Cron(values[0], values[1], values[2], values[3], frozenset(day % 7 for day in values[4]))


def _rate(value: int, unit: str) -> Rate:
    singular = unit.removesuffix("s")
    if value < 1:
        raise ValueError("the rate must be 1 or more")
    if (value == 1) != (unit == singular):
        raise ValueError(f'write "{value} {singular if value == 1 else singular + "s"}"')
    return Rate(value, singular)


def _field(text: str, spec: _Field) -> frozenset[int]:
    values: set[int] = set()
    for item in text.lower().split(","):
        values |= _item(item, spec)
    return frozenset(values)


def _item(item: str, spec: _Field) -> set[int]:
    body, slash, step = item.partition("/")
    if slash and not spec.steps:
        raise ValueError(f"{spec.name} does not allow /")
    if slash and not (step.isascii() and step.isdigit() and 0 < int(step[:6]) <= spec.high):
        raise ValueError(f"{spec.name}: the step after / must be a number from 1 to {spec.high}")
    low, high = _range(body, spec, open_ended=bool(slash))
    return set(range(low, high + 1, int(step) if slash else 1))


def _range(body: str, spec: _Field, *, open_ended: bool) -> tuple[int, int]:
    if body in ("*", "?"):
        return spec.low, spec.high
    first, dash, last = body.partition("-")
    low = _value(first, spec)
    high = _value(last, spec) if dash else (spec.high if open_ended else low)
    if high < low:
        raise ValueError(f"{spec.name}: {body} runs backwards")
    return low, high


def _value(text: str, spec: _Field) -> int:
    if text in spec.names:
        return spec.names[text]
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and spec.low <= int(text) <= spec.high):
        raise ValueError(f"{spec.name}: {text[:20] or 'nothing'} is not a value from {spec.low} to {spec.high}")
    return int(text)
