"""`/projects/`: what a developer makes and releases."""

from functools import partial
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from apps_catalog.services import releases_of
from tenants import access
from tenants.errors import Refused
from tenants.models import User
from tenants.services import idempotency, publish
from tenants.views import snapshots
from tenants.views.forms import ProjectForm, ReleaseForm
from tenants.views.person import person, show


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def projects(request: HttpRequest) -> HttpResponse:
    user = person(request)
    form = ProjectForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        name = form.cleaned_data["name"]
        asked = idempotency.fingerprint("console:project", name)
        try:
            answer = idempotency.once(user, form.key, asked, partial(_create, user, name))
            return redirect("console:project", answer.body["slug"])
        except Refused as refusal:
            show(refusal, form)
    context = {"projects": list(access.projects_of(user)), "form": form}
    return render(request, "tenants/projects.html", context, status=422 if form.is_bound else 200)


@never_cache
@login_required
@require_safe
def project(request: HttpRequest, slug: str) -> HttpResponse:
    context = snapshots.project(person(request), slug)
    return _page(request, context, ReleaseForm.over(context["revisions"]))


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def release(request: HttpRequest, slug: str) -> HttpResponse:
    if request.method != "POST":
        return redirect("console:project", slug)
    user = person(request)
    context = snapshots.project(user, slug)
    form = ReleaseForm(context["revisions"], request.POST)
    if form.is_valid():
        asked = idempotency.fingerprint("console:release", slug, {k: str(v) for k, v in form.cleaned_data.items()})
        try:
            answer = idempotency.once(user, form.key, asked, partial(_release, user, context["project"], form))
            messages.success(request, f"Version {answer.body['version']} is released.")
            return redirect("console:project", slug)
        except Refused as refusal:
            show(refusal, form)
    return _page(request, context, form, status=422)


@never_cache
@login_required
@require_safe
def revision(request: HttpRequest, slug: str, revision_id: str) -> HttpResponse:
    return render(request, "tenants/revision.html", snapshots.revision(person(request), slug, revision_id))


def _create(user: User, name: str) -> idempotency.Answer:
    return idempotency.Answer(201, {"slug": publish.create_project(user, name).slug})


def _release(user: User, project: Any, form: ReleaseForm) -> idempotency.Answer:
    made = publish.publish_release(
        user,
        project,
        revision_id=form.cleaned_data["revision"],
        version=form.cleaned_data["version"] or None,
        notes=form.cleaned_data["notes"],
        channel=form.cleaned_data["channel"],
        listed=form.cleaned_data["listed"],
    )
    return idempotency.Answer(201, {"id": made.pk, "version": made.version})


def _page(request: HttpRequest, context: dict[str, Any], form: ReleaseForm | None, status: int = 200) -> HttpResponse:
    context |= {"releases": list(releases_of(context["project"])[: snapshots.REVISIONS]), "form": form}
    return render(request, "tenants/project.html", context, status=status)
