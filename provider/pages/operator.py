"""`/operator/`: how the whole installation is. For staff; to everybody else there is nothing here."""

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import Count, F, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from apps_catalog.models import AppReport, Release, Review
from provider.healthz import remembered
from provider.pages.totals import Totals, totals
from tenants import access, operators
from tenants.models import Instance, Limited, Operation, User
from tenants.states import InstanceState, WorkState
from tenants.views.person import person

ROWS = 12
OVERDUE = timedelta(minutes=2)
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
    counted = totals()
    context = {
        "counts": _counts(counted),
        "counted": counted,
        "failing": list(_failing()[:ROWS]),
        "people": _people(),
        "waiting": _waiting(person(request)),
        "components": [{"name": name, **_shown(found)} for name, found in sorted(remembered().items())],
    }
    return render(request, "tenants/operator.html", context)


def _waiting(operator: User) -> list[tuple[str, int, str]]:
    """What an operator's answer, or the cluster's, is waited for."""
    catalog = reverse("console:operator_catalog")
    return [
        ("Releases to look at", Release.objects.filter(review=Review.PENDING).count(), f"{catalog}#pending"),
        (
            "Clouds over their traffic",
            access.full_clouds_for(operator, Limited.TRAFFIC).count(),
            f"{reverse('console:operator_clouds')}?over=traffic",
        ),
        ("Reports", AppReport.objects.filter(closed_at__isnull=True).count(), f"{catalog}#reports"),
        (
            "Operations in progress",
            Operation.objects.filter(state__in=(WorkState.QUEUED, WorkState.RUNNING)).count(),
            "",
        ),
        (
            "Apps the cluster is behind with",
            Instance.objects.filter(observed_generation__lt=F("generation")).count(),
            "",
        ),
    ]


def _shown(component: dict[str, str]) -> dict[str, str]:
    state = component.get("state", "")
    return {"state": "running" if state == "ok" else "failed", "detail": component.get("detail", "")}


def _failing() -> Any:
    """What failed and was not overtaken by something newer on the same instance, and what has been open for long."""
    stuck = Q(state__in=(WorkState.QUEUED, WorkState.RUNNING), created_at__lt=timezone.now() - OVERDUE)
    return Operation.objects.filter(Q(state=WorkState.FAILED) | stuck).select_related("instance", "cloud__owner")


def _people() -> list[User]:
    """The newest, with the state of their cloud and the number of their apps: two queries, however many people there are."""
    rows = list(User.objects.select_related("cloud").order_by("-date_joined")[:ROWS])
    there = Instance.objects.filter(cloud__owner__in=rows).exclude(state=InstanceState.REMOVED)
    apps = dict(there.values_list("cloud__owner").annotate(Count("pk")))
    for row in rows:
        row.cloud_state = row.cloud.state if hasattr(row, "cloud") else ""  # type: ignore[attr-defined]
        row.instance_count = apps.get(row.pk, 0)  # type: ignore[attr-defined]
    return rows


def _counts(counted: Totals) -> list[tuple[str, int, str]]:
    operations = reverse("admin:tenants_operation_changelist")
    failed = Operation.objects.filter(state=WorkState.FAILED, created_at__gte=timezone.now() - timedelta(days=1))
    return [
        ("People", counted.people, reverse("admin:tenants_user_changelist")),
        ("Clouds", counted.clouds, reverse("admin:tenants_cloud_changelist")),
        (
            "Running apps",
            counted.running,
            reverse("admin:tenants_instance_changelist") + "?state__exact=running",
        ),
        ("Failed in a day", failed.count(), f"{operations}?state__exact=failed"),
    ]
