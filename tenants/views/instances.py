"""`/instances/<id>/`: one installed copy."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps_catalog.public_routes import shown
from tenants import access
from tenants.errors import Refused
from tenants.services.app_keys import micros_with_keys
from tenants.services.instances import remove_instance, restart_instance
from tenants.states import InstanceState
from tenants.views import snapshots
from tenants.views.person import person, tell
from tenants.views.sleeping import about_sleep
from tenants.views.versions import about_versions

GONE = (InstanceState.REMOVING, InstanceState.REMOVED)


@never_cache
@login_required
@require_safe
def instance(request: HttpRequest, instance_id: str) -> HttpResponse:
    user = person(request)
    context = snapshots.instance(user, instance_id)
    row = context["instance"]
    named = request.GET.get("micro", "")
    context |= snapshots.history_of_instance(row) | about_versions(row) | about_sleep(row)
    context |= {
        "is_moving": context["operation"] is not None and row.state in snapshots.MOVING,
        "public_paths": [path for micro in row.micros.all() for path in shown(micro.mount, micro.public_routes)],
        "is_gone": row.state == InstanceState.REMOVED,
        "can_remove": row.state not in GONE,
        "guests": list(access.shares_of(row)),
        "takes_keys": bool(micros_with_keys(row)),
        "chosen_micro": named if any(micro.name == named for micro in row.micros.all()) else "",
    }
    return render(request, "tenants/instance.html", context)


@login_required
@require_POST
def restart(request: HttpRequest, instance_id: str) -> HttpResponse:
    """Restart, and Retry of a failed one."""
    user = person(request)
    row = access.instance_for(user, instance_id)
    try:
        restart_instance(user, row)
    except Refused as refusal:
        tell(request, refusal)
    return redirect("console:instance", instance_id)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def remove(request: HttpRequest, instance_id: str) -> HttpResponse:
    """GET asks, POST removes. `data` must be said, so that nothing is deleted by leaving something out."""
    user = person(request)
    row = access.instance_for(user, instance_id)
    if row.state == InstanceState.REMOVED:
        return redirect("console:instance", instance_id)
    if request.method != "POST":
        return render(request, "tenants/instance_remove.html", {"instance": row})
    data = request.POST.get("data", "")
    context = {"instance": row, "chosen": data, "error": "Say whether its data is kept or deleted."}
    if data in ("keep", "delete"):
        try:
            remove_instance(user, row, delete_data=data == "delete")
            return redirect("console:instance", instance_id)
        except Refused as refusal:
            context["error"] = str(refusal)
    return render(request, "tenants/instance_remove.html", context, status=422)
