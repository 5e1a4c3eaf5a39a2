"""`/operator/plans/`: what is offered, and as a file."""

import json

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from provider.pages.operator import changes
from provider.pages.plan_forms import FileForm, PlanForm
from tenants import access
from tenants.errors import Refused
from tenants.models import Plan
from tenants.services import plan_files
from tenants.services import plans as services
from tenants.views.person import person, show, tell


@never_cache
@changes("plans")
@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    context = {"plans": list(access.plans_for(person(request))), "form": FileForm()}
    return render(request, "tenants/operator_plans.html", context)


@never_cache
@changes("plans")
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    form = PlanForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            plan = services.create_plan(person(request), form.cleaned_data["slug"], form.terms())
        except Refused as refusal:
            show(refusal, form)
        else:
            messages.success(request, f"{plan.name} is there.")
            return redirect("console:operator_plans")
    return render(request, "tenants/operator_plan.html", {"form": form}, status=422 if form.is_bound else 200)


@never_cache
@changes("plans")
@require_http_methods(["GET", "HEAD", "POST"])
def one(request: HttpRequest, slug: str) -> HttpResponse:
    """POST with `do`: save, archive, offer (again) or delete."""
    operator = person(request)
    plan = access.plan_for(operator, slug)
    do = request.POST.get("do", "save")
    if request.method == "POST" and do in ("archive", "offer", "delete"):
        try:
            if do == "delete":
                services.delete_plan(operator, slug)
            else:
                services.archive_plan(operator, slug, archived=do == "archive")
        except Refused as refusal:
            tell(request, refusal)
            return redirect("console:operator_plan", slug)
        return redirect("console:operator_plans")
    form = PlanForm(request.POST if request.method == "POST" else None, instance=get_object_or_404(Plan, pk=slug))
    if form.is_bound and form.is_valid():
        try:
            services.edit_plan(operator, slug, form.terms())
        except Refused as refusal:
            show(refusal, form)
        else:
            messages.success(request, "Changed. Its clouds are being brought in line.")
            return redirect("console:operator_plan", slug)
    context = {"form": form, "plan": plan}
    return render(request, "tenants/operator_plan.html", context, status=422 if form.is_bound else 200)


@never_cache
@changes("plans")
@require_http_methods(["GET", "HEAD", "POST"])
def file(request: HttpRequest) -> HttpResponse:
    """GET downloads all plans; POST brings a file's in, all or nothing."""
    operator = person(request)
    if request.method != "POST":
        text = json.dumps(plan_files.export_plans(), indent=2) + "\n"
        headers = {"Content-Disposition": 'attachment; filename="plans.json"'}
        return HttpResponse(text, content_type="application/json", headers=headers)
    form = FileForm(request.POST, request.FILES)
    if form.is_valid():
        try:
            sent = form.cleaned_data["file"].read(plan_files.SIZE_LIMIT + 1)
            done = plan_files.import_plans(operator, plan_files.parse(sent))
        except Refused as refusal:
            form.add_error("file", f"{refusal.field}: {refusal}" if refusal.field != "file" else str(refusal))
        else:
            said = f"{len(done.created)} made, {len(done.changed)} changed, {len(done.unchanged)} as they were."
            messages.success(request, said)
            return redirect("console:operator_plans")
    context = {"plans": list(access.plans_for(operator)), "form": form}
    return render(request, "tenants/operator_plans.html", context, status=422)
