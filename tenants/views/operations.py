"""`/operations/<id>/`: one change, step by step."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from tenants import access
from tenants.errors import Refused
from tenants.services.retry import retry_operation
from tenants.views import snapshots
from tenants.views.person import person, tell


@never_cache
@login_required
@require_safe
def operation(request: HttpRequest, operation_id: str) -> HttpResponse:
    context = snapshots.operation(person(request), operation_id)
    row = context["operation"]
    context["project"] = row.revision.app if row.revision_id else None
    return render(request, "tenants/operation.html", context)


@login_required
@require_POST
def retry(request: HttpRequest, operation_id: str) -> HttpResponse:
    """Do again what failed; leads to the operation that does."""
    user = person(request)
    try:
        again = retry_operation(user, access.operation_for(user, operation_id))
    except Refused as refusal:
        tell(request, refusal)
        return redirect("console:operation", operation_id)
    return redirect("console:operation", again.pk)
