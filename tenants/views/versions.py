"""An instance's own settings and its versions: buttons and forms of its page."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from tenants import access
from tenants.errors import Refused
from tenants.models import Instance
from tenants.services.configuration import settings_of
from tenants.services.instances import STILL, change_instance
from tenants.services.quota import room
from tenants.services.updates import needs_after, plan_update, rollback_instance, update_instance
from tenants.views.forms import SettingsForm
from tenants.views.person import person, show, tell


def about_versions(row: Instance) -> dict[str, Any]:
    """What the instance's page says of updates and settings. `row` with app, release and revision."""
    settled = row.state in STILL
    update = plan_update(row) if settled else None
    return {
        "update": update,
        "update_room": room(row.cloud, needs_after(row, update.release.revision)[1]) if update else None,
        "can_roll_back": settled and row.previous_revision_id is not None and not row.is_builder,
        "settings": settings_of(row),
    }


@login_required
@require_POST
def update(request: HttpRequest, instance_id: str) -> HttpResponse:
    """The boxes that were ticked are what the owner agrees to; a release that came meanwhile may ask for more."""
    user = person(request)
    row = access.instance_for(user, instance_id)
    try:
        update_instance(
            user,
            row,
            release_id=request.POST.get("release") or None,
            consent=frozenset(request.POST.getlist("consent")),
        )
    except Refused as refusal:
        tell(request, refusal)
    return redirect("console:instance", instance_id)


@login_required
@require_POST
def rollback(request: HttpRequest, instance_id: str) -> HttpResponse:
    user = person(request)
    row = access.instance_for(user, instance_id)
    try:
        rollback_instance(user, row)
    except Refused as refusal:
        tell(request, refusal)
    return redirect("console:instance", instance_id)


@login_required
@require_POST
def follow(request: HttpRequest, instance_id: str) -> HttpResponse:
    """Whether updates come by themselves: `on` is yes or no."""
    user = person(request)
    row = access.instance_for(user, instance_id)
    try:
        change_instance(user, row, auto_update=request.POST.get("on") == "yes")
    except Refused as refusal:
        tell(request, refusal)
    return redirect("console:instance", instance_id)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def settings(request: HttpRequest, instance_id: str) -> HttpResponse:
    """The app's settings. An empty field keeps what is there; nothing that was filled in is ever shown again."""
    user = person(request)
    row = access.instance_for(user, instance_id)
    form = SettingsForm(settings_of(row), request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            _, operation = change_instance(user, row, config=form.changes())
            if operation is None:
                messages.info(request, "Nothing was changed.")
            return redirect("console:instance", instance_id)
        except Refused as refusal:
            show(refusal, form)
    context = {"instance": row, "form": form, "settings": form.settings}
    return render(request, "tenants/instance_settings.html", context, status=422 if form.is_bound else 200)
