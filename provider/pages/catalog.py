"""`/operator/catalog/`: releases that wait for a look before they are listed, and what people report about apps."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from apps_catalog.models import AppReport, Release, Review
from provider.pages.operator import changes
from tenants import access, operators
from tenants.errors import Refused
from tenants.services.releases import review_release, unlist_app
from tenants.services.reports import answer_report
from tenants.views.person import person, tell

ROWS = 50


@never_cache
@changes("apps")
@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    pending = Release.objects.filter(review=Review.PENDING).select_related("app__developer", "revision")
    reports = AppReport.objects.filter(closed_at__isnull=True).select_related("app__developer", "reporter")
    context = {"pending": list(pending.order_by("created_at")[:ROWS]), "reports": list(reports[:ROWS])}
    context["may_unlist"] = operators.may(person(request), "apps")
    return render(request, "tenants/operator_catalog.html", context)


@changes("apps")
@require_POST
def review(request: HttpRequest, release_id: str) -> HttpResponse:
    """`do` is approve or refuse; refusing wants a note, which its developer reads."""
    what = request.POST.get("do")
    if what not in ("approve", "refuse"):
        return HttpResponseBadRequest("do is approve or refuse.")
    release = get_object_or_404(Release, pk=release_id)
    try:
        review_release(person(request), release, approve=what == "approve", note=request.POST.get("note", ""))
    except Refused as refusal:
        tell(request, refusal)
    return redirect("console:operator_catalog")


@changes("apps")
@require_POST
def unlist(request: HttpRequest) -> HttpResponse:
    """`slug` of an app, and `note`: why, for its developer."""
    operator = person(request)
    slug = request.POST.get("slug", "").strip()[:100].replace("\x00", "")
    try:
        app = access.any_app_for(operator, slug)
        unlist_app(operator, app, note=request.POST.get("note", ""))
        messages.success(request, f"{app.name} is not listed any more.")
    except Http404:
        messages.error(request, "There is no app of this name.")
    except Refused as refusal:
        tell(request, refusal)
    return redirect("console:operator_catalog")


@changes("apps")
@require_POST
def report(request: HttpRequest, report_id: str) -> HttpResponse:
    """`do` is close, or unlist: then the app is also taken off the catalog."""
    what = request.POST.get("do")
    if what not in ("close", "unlist"):
        return HttpResponseBadRequest("do is close or unlist.")
    row = get_object_or_404(AppReport.objects.select_related("app"), pk=report_id)
    try:
        answer_report(person(request), row, unlist=what == "unlist", note=request.POST.get("note", ""))
        if what == "unlist":
            messages.success(request, f"{row.app.name} is not listed any more.")
    except Refused as refusal:
        tell(request, refusal)
    return redirect("console:operator_catalog")
