"""`/projects/`: what a developer makes and releases."""

from functools import partial
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps_catalog.models import Review
from apps_catalog.services import releases_of
from tenants import access
from tenants.errors import Refused
from tenants.models import User
from tenants.services import idempotency, publish
from tenants.services.adoption import adoption_of
from tenants.services.projects import change_project, delete_project
from tenants.services.releases import change_release as change_release_
from tenants.views import snapshots
from tenants.views.forms import ProjectForm, ReleaseForm
from tenants.views.person import person, show, tell


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


@login_required
@require_POST
def change_release(request: HttpRequest, slug: str, release_id: str) -> HttpResponse:
    """`do` is list, unlist, yank or restore."""
    user = person(request)
    row = access.release_for(user, slug, release_id)
    changes: dict[str, dict[str, Any]] = {
        "list": {"listed": True},
        "unlist": {"listed": False},
        "yank": {"yanked": True, "yank_reason": request.POST.get("reason", "")},
        "restore": {"yanked": False},
    }
    wanted = changes.get(request.POST.get("do", ""))
    if wanted is None:
        return HttpResponseBadRequest("do is list, unlist, yank or restore.")
    try:
        changed = change_release_(user, row, **wanted)
        if wanted.get("listed") and changed.review == Review.PENDING:
            messages.info(request, "It will be listed as soon as the operator has looked at it.")
    except Refused as refusal:
        tell(request, refusal)
    return redirect(f"{reverse('console:project', args=[slug])}#releases")


@login_required
@require_POST
def change(request: HttpRequest, slug: str) -> HttpResponse:
    """`do` is maintain, abandon or delete; deleting wants the project's name typed."""
    user = person(request)
    row = access.project_for(user, slug)
    what = request.POST.get("do", "")
    try:
        if what == "delete" and request.POST.get("name", "").strip() == row.name:
            delete_project(user, row)
            messages.success(request, f"{row.name} is deleted.")
            return redirect("console:projects")
        if what == "delete":
            messages.error(request, f"Not deleted: type {row.name} to delete it.")
        elif what in ("maintain", "abandon"):
            change_project(user, row, maintained=what == "maintain")
        else:
            return HttpResponseBadRequest("do is maintain, abandon or delete.")
    except Refused as refusal:
        tell(request, refusal)
    return redirect("console:project", slug)


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
    context |= {"adoption": adoption_of(context["project"])}
    context |= {"releases": list(releases_of(context["project"])[: snapshots.REVISIONS]), "form": form}
    return render(request, "tenants/project.html", context, status=status)
