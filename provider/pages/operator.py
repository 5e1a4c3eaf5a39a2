"""`/operator/`: how the whole installation is. For staff; to everybody else there is nothing here."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from provider import queues
from provider.healthz import remembered
from provider.pages.history import graphs, rows
from tenants import access, operators
from tenants.models import Instance, Limited, User
from tenants.services import desk, figures
from tenants.services.figures import Figures
from tenants.states import InstanceState
from tenants.views.person import person

ROWS = 12
View = Callable[..., HttpResponse]


def staff_only(view: View) -> View:
    """For operators; to everybody else there is nothing."""

    @wraps(view)
    def checked(request: HttpRequest, *args: Any, **named: Any) -> HttpResponse:
        if not (isinstance(request.user, User) and request.user.is_active and request.user.is_staff):
            raise Http404
        return view(request, *args, **named)

    return checked


def changes(area: str, *, reads_too: bool = False) -> Callable[[View], View]:
    """For operators; what is no safe request (reads_too: that as well) only for those who may change something in `area`."""

    def decorate(view: View) -> View:
        @staff_only
        @wraps(view)
        def checked(request: HttpRequest, *args: Any, **named: Any) -> HttpResponse:
            operator = person(request)
            is_safe = request.method in ("GET", "HEAD") and not reads_too
            if not is_safe and not operators.may(operator, area):
                raise PermissionDenied(f"An operator of the role {operator.operator_role} may not change this.")
            return view(request, *args, **named)

        return checked

    return decorate


@never_cache
@staff_only
@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    counted = figures.now()
    parts, days = remembered(), figures.history()
    ill = sorted(name for name, found in parts.items() if found.get("state") != "ok")
    context = {
        "counts": _counts(counted),
        "counted": counted,
        "graphs": graphs(days),
        "days": rows(days),
        "failing": list(desk.failing()[:ROWS]),
        "people": _people(),
        "waiting": _waiting(person(request)),
        "queues": queues.asked(),
        "components": [{"name": name, **_shown(found)} for name, found in sorted(parts.items())],
        "ill": ill,
    }
    return render(request, "tenants/operator.html", context)


def _waiting(operator: User) -> list[tuple[str, int, str]]:
    """What an operator's answer, or the cluster's, is waited for."""
    found, catalog = desk.waiting(), reverse("console:operator_catalog")
    return [
        ("Releases to look at", found.reviews, f"{catalog}#pending"),
        ("Reports", found.reports, f"{catalog}#reports"),
        (
            "Clouds over their traffic",
            access.full_clouds_for(operator, Limited.TRAFFIC).count(),
            f"{reverse('console:operator_clouds')}?show=traffic",
        ),
        ("Operations in progress", found.operations, ""),
        ("Apps the cluster is behind with", found.behind, ""),
    ]


def _shown(component: dict[str, str]) -> dict[str, str]:
    return {"state": "running" if component.get("state") == "ok" else "failed", "detail": component.get("detail", "")}


def _people() -> list[User]:
    """The newest, with their cloud and the number of their apps: two queries, however many people there are."""
    rows = list(User.objects.select_related("cloud__plan").order_by("-date_joined")[:ROWS])
    there = Instance.objects.filter(cloud__owner__in=rows).exclude(state=InstanceState.REMOVED)
    apps = dict(there.values_list("cloud__owner").annotate(Count("pk")))
    for row in rows:
        row.its_cloud = getattr(row, "cloud", None)  # type: ignore[attr-defined]
        row.instance_count = apps.get(row.pk, 0)  # type: ignore[attr-defined]
    return rows


def _counts(counted: Figures) -> list[tuple[str, int, str, str]]:
    """Label, number, where it leads, and what there is to say beside it."""
    clouds, states = reverse("console:operator_clouds"), dict(counted.clouds_by_state)
    suspended = states.get("suspended", 0)
    return [
        ("People", counted.people, clouds, f"{counted.joined} came today"),
        ("Clouds", counted.clouds, clouds, f"{suspended} suspended" if suspended else "none suspended"),
        ("Running apps", counted.running, "#instances", f"of {counted.installed} installed"),
        ("Failed today", counted.failed, "#failing", f"{counted.succeeded} succeeded"),
    ]
