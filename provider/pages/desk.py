"""The operator's desk: one person's affairs, what support does for them, who is an operator, and what happened."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from allauth.account.models import EmailAddress
from django.contrib import messages
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from provider.pages.operator import changes, staff_only
from tenants import access, operators
from tenants.errors import Refused
from tenants.models import Cloud, Event, Operation, OperatorRole, User
from tenants.services import desk, support, usage
from tenants.views.person import person, tell
from tenants.views.usage import graphs

ROWS = 15
PAGE = 100


def named(rows: Iterable[Event]) -> list[Event]:
    """With the handles of whoever acted and of people and clouds that it happened to: two queries."""
    found = list(rows)
    ids = {row.actor for row in found} | {row.subject for row in found}
    handles = dict(User.objects.filter(pk__in=ids).values_list("pk", "handle"))
    handles |= dict(Cloud.objects.filter(pk__in=ids).values_list("pk", "owner__handle"))
    for row in found:
        row.actor_name, row.subject_name = handles.get(row.actor, ""), handles.get(row.subject, "")  # type: ignore[attr-defined]
    return found


def affairs(operator: User, cloud: Cloud) -> dict[str, Any]:
    """What a page about one cloud shows besides its plan."""
    return {
        "parts": usage.parts(cloud),
        "operations": list(cloud.operations.select_related("instance")[:ROWS]),
        "instances": list(
            cloud.instances.exclude(state="removed").select_related("app").order_by("-created_at")[:ROWS]
        ),
        "events": named(desk.events_about(cloud)[:ROWS]),
        "graphs": graphs(usage.series(cloud, usage.Span.DAY), usage.Span.DAY),
        "may_support": operators.may(operator, "people"),
        "may_appoint": operators.may(operator, "operators"),
        "may_grant": operators.may(operator, "plans"),
        "roles": OperatorRole.choices,
        "unconfirmed": EmailAddress.objects.filter(user=cloud.owner, verified=False).exists(),
    }


@changes("people")
@require_POST
def act(request: HttpRequest, cloud_id: str) -> HttpResponse:
    """`do` is suspend, restore or confirm; `reason` says why."""
    operator = person(request)
    cloud, reason = access.cloud_for(operator, cloud_id), request.POST.get("reason", "")
    acts: dict[str, tuple[Callable[[], object], str]] = {
        "suspend": (partial(support.suspend_cloud, operator, cloud, reason), "It is suspended; its owner was told."),
        "restore": (partial(support.restore_cloud, operator, cloud, reason), "It is active again; its owner was told."),
        "confirm": (partial(support.resend_confirmation, operator, cloud.owner, reason), "The mail is on its way."),
    }
    if request.POST.get("do") not in acts:
        raise Http404
    done, said = acts[request.POST["do"]]
    try:
        done()
        messages.success(request, said)
    except Refused as refusal:
        tell(request, refusal)
    return redirect("console:operator_cloud", cloud_id)


@changes("people")
@require_POST
def retry(request: HttpRequest, operation_id: str) -> HttpResponse:
    operation = get_object_or_404(Operation, pk=operation_id)
    try:
        support.retry_for(person(request), operation, request.POST.get("reason", ""))
        messages.success(request, "It is being tried again.")
    except Refused as refusal:
        tell(request, refusal)
    return redirect("console:operator_cloud", operation.cloud_id)


@never_cache
@changes("operators")
@require_http_methods(["GET", "HEAD", "POST"])
def team(request: HttpRequest) -> HttpResponse:
    """Who is an operator, and as what. POST: `email`, `role`, which may be empty, and `reason`."""
    if request.method == "POST":
        found = User.objects.filter(
            email__iexact=request.POST.get("email", "").strip()[:254].replace("\x00", "")
        ).first()
        if found is None:
            messages.error(request, "Nobody has an account with this address.")
        else:
            try:
                sent = request.POST
                support.appoint(person(request), found, sent.get("role", ""), sent.get("reason", ""))
                messages.success(request, f"Changed for {found.handle}.")
            except Refused as refusal:
                tell(request, refusal)
        return redirect("console:operator_team")
    context = {
        "team": list(User.objects.filter(is_staff=True).order_by("handle")),
        "roles": OperatorRole.choices,
        "events": named(desk.events(kind="user")[:ROWS]),
        "areas": [(area, ", ".join(roles)) for area, roles in operators.AREAS.items()],
        "may_appoint": operators.may(person(request), "operators"),
    }
    return render(request, "tenants/operator_team.html", context)


@never_cache
@staff_only
@require_safe
def audit(request: HttpRequest) -> HttpResponse:
    """`?q=` is a handle, or the id of a cloud, of whoever acted, or of what it happened to."""
    asked = request.GET.get("q", "").strip()[:40].replace("\x00", "")
    ids = desk.ids_of(asked) if asked else []
    rows = desk.events_of(*(Q(**{f"{name}__in": ids}) for name in ("cloud_id", "actor", "subject") if ids))
    before = request.GET.get("before", "")
    rows = rows.filter(pk__lt=int(before)) if before.isdecimal() and len(before) < 19 else rows
    found = named(rows[: PAGE + 1])
    context = {
        "events": found[:PAGE],
        "asked": asked,
        "is_newest": not before,
        "older": found[PAGE - 1] if len(found) > PAGE else None,
    }
    return render(request, "tenants/operator_audit.html", context)
