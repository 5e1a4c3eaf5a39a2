"""The overview's graphs: what each day was like."""

from collections.abc import Callable, Sequence
from datetime import date

from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from tenants.services.figures import Figures
from tenants.templatetags.plans import money
from tenants.views.graphs import Graph, drawn

_NAMES = ("People", "Came", "Clouds", "Running apps", "Succeeded", "Failed", "Revenue")
_CELLS = "".join(f'<td data-label="{name}" class="right">{{}}</td>' for name in _NAMES)
_ROW = f'<tr><td data-label="Day (UTC)">{{}}</td>{_CELLS}</tr>'
Days = Sequence[tuple[date, Figures | None]]


def graphs(days: Days) -> list[Graph]:
    """People who came, clouds, running apps, failed operations, and what plans bring in by currency and interval."""
    found = [
        _graph("People who came", days, lambda one: one.joined, total=True),
        _graph("Clouds", days, lambda one: one.clouds),
        _graph("Running apps", days, lambda one: one.running),
        _graph("Failed operations", days, lambda one: one.failed, total=True, tone="bad"),
    ]
    kinds = sorted({(one.currency, one.interval) for _, figures in days if figures for one in figures.income})
    return found + [_income(days, currency, interval) for currency, interval in kinds]


def rows(days: Days) -> SafeString:
    """The same in numbers, the newest day first. Not in the template, which would take a quarter of the page's time."""
    return format_html_join("\n", _ROW, (_cells(day, found) for day, found in reversed(days) if found))


def _cells(day: date, one: Figures) -> tuple[object, ...]:
    income = ", ".join(f"{money(part.minor, part.currency)} a {part.interval}" for part in one.income) or "–"
    return (f"{day:%-d %b %Y}", one.people, one.joined, one.clouds, one.running, one.succeeded, one.failed, income)


def _graph(title: str, days: Days, measure: Callable[[Figures], int], *, total: bool = False, tone: str = "") -> Graph:
    """total: the sum of all days is what counts, not the newest."""
    values = [measure(figures) if figures else 0 for _, figures in days]
    labels = [f"{day:%-d %b}: {_said(figures, str(value))}" for (day, figures), value in zip(days, values, strict=True)]
    said = f"{sum(values):,} in {len(days)} days" if total else f"{values[-1]:,} now"
    return drawn(title, said, values, labels, tone)


def _income(days: Days, currency: str, interval: str) -> Graph:
    def amount(figures: Figures) -> int:
        return sum(one.minor for one in figures.income if (one.currency, one.interval) == (currency, interval))

    values = [amount(figures) if figures else 0 for _, figures in days]
    labels = [
        f"{day:%-d %b}: {_said(figures, money(value, currency))}"
        for (day, figures), value in zip(days, values, strict=True)
    ]
    return drawn(f"Revenue a {interval}", f"{money(values[-1], currency)} now", values, labels)


def _said(figures: Figures | None, text: str) -> str:
    return text if figures else "not counted"
