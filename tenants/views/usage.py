"""`/cloud/usage/`: graphs, and the same numbers in tables."""

import csv
from collections.abc import Callable

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from tenants import access
from tenants.amounts import in_words
from tenants.metering import MEASURES
from tenants.services import limits, statements
from tenants.services import usage as services
from tenants.services.statements import Statement
from tenants.services.usage import Point, Span, Used
from tenants.views.caps import cap_form
from tenants.views.graphs import Graph, drawn
from tenants.views.person import person

_MONTHS = 24  # statements that the page leads to; the API has all
_FORMATS = {Span.HOUR: "%d %b %H:%M", Span.DAY: "%d %b %Y", Span.MONTH: "%B %Y"}


def _time(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 3600 else f"{seconds / 3600:,.1f} h"


def _gb_hours(amount: float) -> str:
    return f"{amount:,.1f} GB·h" if amount >= 10 else f"{amount:.3g} GB·h"


def _times(amount: float) -> str:
    return f"{amount:,.0f}"


_GRAPHS: tuple[tuple[str, Callable[[Used], float], Callable[[float], str]], ...] = (
    ("Compute", lambda used: used.cpu_seconds, _time),
    ("Memory", lambda used: used.memory_gb_hours, _gb_hours),
    ("Storage", lambda used: used.storage_gb_hours, _gb_hours),
    ("Requests", lambda used: used.requests, _times),
    ("Sent", lambda used: used.bytes_out, in_words),
)


@never_cache
@login_required
@require_safe
def usage(request: HttpRequest) -> HttpResponse:
    user = person(request)
    cloud = access.cloud_with_notices(user)
    by = Span(request.GET["by"]) if request.GET.get("by") in list(Span) else Span.HOUR
    chosen = request.GET.get("instance", "")
    instance = access.instance_for(user, chosen) if chosen else None
    points = services.series(cloud, by, subject=instance.pk if instance else "")
    standing = limits.standing(cloud)
    context = {
        "by": by,
        "spans": list(Span),
        "instance": instance,
        "graphs": graphs(points, by),
        "rows": [(_when(point, by), texts_of(point.used)) for point in reversed(points)],
        "parts": [
            (part, texts_of(part.used))
            for part in services.parts(cloud)
            if instance is None or part.subject == instance.pk
        ],
        "titles": TITLES,
        "notices": limits.notices(cloud),
        "standing": standing,
        "cap_form": cap_form(standing),
        "months": list(statements.months(cloud)[:_MONTHS]),
    }
    return render(request, "tenants/usage.html", context)


TITLES = [title for title, _measure, _text in _GRAPHS]


def graphs(points: list[Point], by: Span) -> list[Graph]:
    return [_graph(title, points, by, measure, text) for title, measure, text in _GRAPHS]


@never_cache
@login_required
@require_safe
def statement(request: HttpRequest, month: str) -> HttpResponse:
    """A month in whole units, by plan and by app."""
    found = _statement(request, month)
    periods = [(period, period.lines, period.total) for period in found.periods]
    return render(request, "tenants/statement.html", {"statement": found, "periods": periods})


@never_cache
@login_required
@require_safe
def statement_file(request: HttpRequest, month: str) -> HttpResponse:
    """The same as a table for other programs."""
    found = _statement(request, month)
    headers = {"Content-Disposition": f'attachment; filename="usage-{found.since:%Y-%m}.csv"'}
    answer = HttpResponse(content_type="text/csv; charset=utf-8", headers=headers)
    rows = csv.writer(answer)
    rows.writerow(("plan", "plan_since", "subject", "title", *MEASURES))
    for period in found.periods:
        for line in period.lines:
            units = (line.units[name] for name in MEASURES)
            rows.writerow((period.plan, period.since.isoformat(), line.subject, line.title, *units))
    return answer


def _statement(request: HttpRequest, month: str) -> Statement:
    cloud, since = access.cloud_of(person(request)), statements.month_named(month)
    found = statements.statement(cloud, since) if since else None
    if found is None:
        raise Http404
    return found


def _graph(
    title: str, points: list[Point], by: Span, measure: Callable[[Used], float], text: Callable[[float], str]
) -> Graph:
    values = [measure(point.used) for point in points]
    labels = [f"{_when(point, by)}: {text(value)}" for point, value in zip(points, values, strict=True)]
    return drawn(title, text(sum(values)), values, labels)


def texts_of(used: Used) -> list[tuple[str, str]]:
    return [(title, text(measure(used))) for title, measure, text in _GRAPHS]


def _when(point: Point, by: Span) -> str:
    return f"{point.since:{_FORMATS[by]}}"
