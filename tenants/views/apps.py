"""`/apps/<slug>/`: an app, what it takes, and the button that installs it."""

from functools import partial
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from apps_catalog.blueprint import blueprint_of
from apps_catalog.models import App
from apps_catalog.services import newest_release
from tenants import access
from tenants.errors import Refused
from tenants.models import Cloud, Collection, Quota, User
from tenants.services import idempotency, quota
from tenants.services.configuration import Setting, declared
from tenants.services.instances import install_app
from tenants.services.reports import report_app
from tenants.sizes import Size, needs_of
from tenants.views import snapshots
from tenants.views.forms import InstallForm, ReportForm, SettingsForm
from tenants.views.person import person, show


@never_cache
@require_safe
def app(request: HttpRequest, slug: str) -> HttpResponse:
    user = request.user if isinstance(request.user, User) else None
    return _page(request, access.app_for(user, slug), InstallForm(_kept(user)))


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def install(request: HttpRequest, slug: str) -> HttpResponse:
    """POST installs. GET is where a sign-in in between comes back to: the page with the button."""
    if request.method != "POST":
        return redirect("console:app", slug)
    if not request.user.is_authenticated:
        return redirect_to_login(reverse("console:app", args=[slug]))
    user = person(request)
    found = access.app_for(user, slug)
    form, chosen = InstallForm(_kept(user), request.POST), SettingsForm(_settings(found), request.POST)
    if form.is_valid() and chosen.is_valid():
        alias = form.cleaned_data["alias"].strip() or None
        collection = form.cleaned_data["collection"] or None
        asked = idempotency.fingerprint("console:install", slug, alias, collection, chosen.changes())
        act = partial(_install, user, slug, alias, collection, chosen.changes())
        try:
            answer = idempotency.once(user, form.key, asked, act)
        except Refused as refusal:
            show(refusal, form)
        else:
            return redirect("console:instance", answer.body["id"])
    return _page(request, found, form, chosen, status=422)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def report(request: HttpRequest, slug: str) -> HttpResponse:
    """Something about an app that the operator should know."""
    user = person(request)
    found = access.app_for(user, slug)
    form = ReportForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            report_app(user, found, **form.cleaned_data)
            messages.success(request, "Thank you. The operator will look at it.")
            return redirect("console:app", slug)
        except Refused as refusal:
            show(refusal, form)
    return render(
        request, "tenants/app_report.html", {"app": found, "form": form}, status=422 if form.is_bound else 200
    )


def _install(
    user: User, slug: str, alias: str | None, collection: str | None, config: dict[str, str | None]
) -> idempotency.Answer:
    instance, operation = install_app(user, app_slug=slug, alias=alias, collection_id=collection, config=config)
    return idempotency.Answer(202, {"id": instance.pk, "operation": operation.pk})


def _kept(user: User | None) -> list[Collection]:
    """Their collections that no app uses."""
    return list(access.collections_of(user).filter(instance__isnull=True)) if user is not None else []


def _settings(app: App) -> tuple[Setting, ...]:
    release = newest_release(app)
    return declared(release.revision) if release else ()


def _page(
    request: HttpRequest, app: App, form: InstallForm, chosen: SettingsForm | None = None, status: int = 200
) -> HttpResponse:
    release = newest_release(app)
    blueprint = blueprint_of(release.revision) if release else None
    needs = needs_of(blueprint, Size()) if blueprint else None
    context = {
        "app": app,
        "release": release,
        "needs": needs,
        "public_paths": blueprint.public_paths if blueprint else (),
        "processes": blueprint.processes if blueprint else (),
        "calls": blueprint.calls if blueprint else (),
        "form": form,
        "chosen": chosen or SettingsForm(declared(release.revision) if release else ()),
        "error": " ".join(str(error) for error in form.non_field_errors()),
        # A refused form keeps its key: nothing was done under it.
        "idempotency_key": form["idempotency_key"].value() or form["idempotency_key"].initial,
        "homepage": _link(app.homepage),
        "git": _link(app.git),
        **(_mine(request.user, app, needs) if isinstance(request.user, User) else {}),
    }
    return render(request, "tenants/app.html", context, status=status)


def _mine(user: User, app: App, needs: Quota | None) -> dict[str, Any]:
    cloud = Cloud.objects.select_related("plan").filter(owner=user).first()
    if cloud is None:
        return {"cloud": None}
    copies = list(snapshots.installed(user).filter(app=app))
    return {"cloud": cloud, "copies": copies, **(_room(cloud, needs) if needs else {})}


def _room(cloud: Cloud, needs: Quota) -> dict[str, Any]:
    room = quota.room(cloud, needs)
    return {"quota": room.limit, "left": room.left, "lacking": room.lacking}


def _link(address: str) -> str:
    """A web address that may be followed; anything else (javascript:, data:) is not shown as a link at all."""
    return address if address.lower().startswith(("https://", "http://")) else ""
