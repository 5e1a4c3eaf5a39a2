"""`/operator/clouds/`: find a cloud; its plan, and what it gets beside that."""

from functools import partial

from django.db.models import Exists, OuterRef, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from provider.pages.desk import affairs
from provider.pages.operator import changes
from provider.pages.plan_forms import GrantForm, PlanChoiceForm, shown
from tenants import access
from tenants.errors import Refused
from tenants.models import Cloud, Limited, LimitNotice, Override, Plan, User
from tenants.services import desk, holds, idempotency, limits, overrides, plan_changes
from tenants.services.lateness import lateness
from tenants.services.quota import use_of
from tenants.states import CloudState
from tenants.views.person import person, show, tell

ROWS = 50
_OVERRIDDEN = Override.objects.filter(cloud=OuterRef("pk"), ended_at__isnull=True)
_FULL = LimitNotice.objects.filter(what=Limited.TRAFFIC, percent=100, ended_at__isnull=True)
# What `?show=` may be: what it is called, and which clouds these are.
KINDS: dict[str, tuple[str, Q]] = {
    "newest": ("Newest", Q()),
    "exceptions": ("With exceptions", Q(Exists(_OVERRIDDEN))),
    "suspended": ("Suspended", Q(state=CloudState.SUSPENDED)),
    "asleep": ("Asleep for a cause", Q(state=CloudState.ASLEEP)),
    "traffic": ("Over their traffic", Q(pk__in=_FULL.values("cloud"))),
    "closing": ("Closing", Q(state=CloudState.CLOSING)),
}


@never_cache
@changes("plans")
@require_safe
def clouds(request: HttpRequest) -> HttpResponse:
    """`?q=`: the beginning of a handle or address, or a namespace. `?show=`: of KINDS, the newest first."""
    asked = request.GET.get("q", "").strip()[:100].replace("\x00", "")
    rows = Cloud.objects.select_related("owner", "plan")
    shown = request.GET.get("show", "")
    shown = shown if shown in KINDS else "newest"
    if asked:
        rows = rows.filter(owner__in=desk.people(asked).order_by().values("pk")).order_by("owner__handle")
    else:
        rows = rows.filter(KINDS[shown][1]).order_by("-owner__date_joined")
    kinds = [(name, label) for name, (label, _) in KINDS.items()]
    context = {"clouds": list(rows[:ROWS]), "asked": asked, "kinds": kinds, "shown": shown, "title": KINDS[shown][0]}
    return render(request, "tenants/operator_clouds.html", context)


@never_cache
@changes("plans")
@require_http_methods(["GET", "HEAD", "POST"])
def cloud(request: HttpRequest, cloud_id: str) -> HttpResponse:
    """POST gives it something beside its plan."""
    operator = person(request)
    row = access.cloud_for(operator, cloud_id)
    form = GrantForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        asked = idempotency.fingerprint("console:override", cloud_id, request.POST)
        try:
            idempotency.once(operator, form.key, asked, partial(_grant, operator, row, form))
            return redirect("console:operator_cloud", cloud_id)
        except Refused as refusal:
            show(refusal, form)
    return _page(request, row, form, PlanChoiceForm(), 422 if form.is_bound else 200)


@changes("plans")
@require_POST
def plan(request: HttpRequest, cloud_id: str) -> HttpResponse:
    operator = person(request)
    row = access.cloud_for(operator, cloud_id)
    form, chosen = PlanChoiceForm(request.POST), None
    if form.is_valid():
        chosen, why = form.cleaned_data["plan"], form.cleaned_data["why"]
        asked = idempotency.fingerprint("console:operator_plan", cloud_id, chosen.pk, why)
        try:
            idempotency.once(operator, form.key, asked, partial(_change, operator, row, chosen.pk, why))
            return redirect("console:operator_cloud", cloud_id)
        except Refused as refusal:
            show(refusal, form)
    return _page(request, row, GrantForm(), form, 422, chosen)


@changes("plans")
@require_POST
def end(request: HttpRequest, cloud_id: str, override_id: str) -> HttpResponse:
    operator = person(request)
    try:
        reason = overrides.checked_reason(request.POST.get("reason", ""))
        overrides.end_override(operator, access.override_for(operator, cloud_id, override_id), reason=reason)
    except Refused as refusal:
        tell(request, refusal)
    return redirect("console:operator_cloud", cloud_id)


def _page(
    request: HttpRequest,
    row: Cloud,
    form: GrantForm,
    choice: PlanChoiceForm,
    status: int,
    refused: Plan | None = None,
) -> HttpResponse:
    """refused: the plan that it could not be changed to; what is in the way is shown."""
    allowance = row.allowance
    given = list(access.overrides_for(person(request), row.pk)[:ROWS])
    context = {
        **affairs(person(request), row),
        "cloud": row,
        "allowance": allowance,
        "quota": allowance.quota,
        "standing": limits.standing(row),
        "holds": holds.holding(row),
        "late": lateness(row),
        "used": use_of(row),
        "overrides": [(override, shown(override)) for override in given],
        "form": form,
        "choice": choice,
        "change": plan_changes.plan_change(row, refused) if refused else None,
    }
    return render(request, "tenants/operator_cloud.html", context, status=status)


def _grant(operator: User, row: Cloud, form: GrantForm) -> idempotency.Answer:
    sent = form.cleaned_data
    made = overrides.grant_override(operator, row, form.figures(), reason=sent["reason"], ends_at=sent["ends_at"])
    return idempotency.Answer(201, {"id": made.pk})


def _change(operator: User, row: Cloud, slug: str, why: str) -> idempotency.Answer:
    operation = plan_changes.change_plan(operator, row, slug, by_operator=True, reason=why)
    return idempotency.Answer(202, {"operation": operation.pk})
