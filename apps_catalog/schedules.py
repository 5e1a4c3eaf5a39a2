"""When a scheduled action is due, and how that is said. Everything is UTC, so no hour is missing or comes twice.

The grammar is apps_catalog.spacefile.schedule's, the former platform's; what it allows is handed to cronsim written out.
"""

from datetime import UTC, datetime, timedelta

from cronsim import CronSim, CronSimError

from apps_catalog.spacefile.schedule import Cron, Rate, parse_interval

_UNITS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EVERY = (range(60), range(24), range(1, 32), range(1, 13), range(7))


def next_due(text: str, counted_from: datetime, after: datetime) -> datetime:
    """The first due time later than `after`. counted_from: when it was installed or its interval was chosen: a rate is
    first due at the next full minute, hour or day (by its unit) after that, and from there at even distances.

    Raises ValueError for what is no interval, or never comes.
    """
    interval = parse_interval(text)
    if isinstance(interval, Cron):
        return _next_cron(interval, after)
    unit = _UNITS[interval.unit]
    first = _EPOCH + ((counted_from - _EPOCH) // unit + 1) * unit
    if after < first:
        return first
    step = unit * interval.value
    return first + ((after - first) // step + 1) * step


def _next_cron(cron: Cron, after: datetime) -> datetime:
    try:
        return next(CronSim(_written_out(cron), after.astimezone(UTC)))
    except (StopIteration, CronSimError) as error:
        raise ValueError("there is no such day") from error


def _written_out(cron: Cron) -> str:
    fields = (cron.minutes, cron.hours, cron.days, cron.months, cron.weekdays)
    return " ".join(
        "*" if allowed == frozenset(every) else ",".join(map(str, sorted(allowed)))
        for allowed, every in zip(fields, _EVERY, strict=True)
    )


def in_words(text: str) -> str:
    """“every 5 minutes”, “at 09:00 on Monday (UTC)”; the text itself where it is no interval."""
    try:
        interval = parse_interval(text)
    except ValueError:
        return text
    if isinstance(interval, Rate):
        return f"every {interval.unit}" if interval.value == 1 else f"every {interval.value} {interval.unit}s"
    words = CronSim(text.replace("?", "*"), _EPOCH).explain()
    return f"{words[:1].lower()}{words[1:]} (UTC)"
