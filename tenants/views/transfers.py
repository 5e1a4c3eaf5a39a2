"""Buttons of `/collections/<id>/` about the collection as a whole: export, import with a look before, wipe."""

from functools import partial
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from tenants import access
from tenants.errors import Refused
from tenants.models import Collection, Import, User
from tenants.services import idempotency, transfers
from tenants.services.contents import contents_of
from tenants.views.person import person, tell

MIB = 1024 * 1024


@login_required
@require_POST
def export(request: HttpRequest, collection_id: str) -> HttpResponse:
    """Progress is shown on the collection's page."""
    user = person(request)
    row = access.collection_for(user, collection_id)
    try:
        transfers.start_export(user, row)
    except Refused as refusal:
        tell(request, refusal)
    return redirect("console:collection", row.pk)


@login_required
@require_POST
def upload(request: HttpRequest, collection_id: str) -> HttpResponse:
    """Hand the archive over and lead to what it holds; nothing is imported yet."""
    user = person(request)
    row = access.collection_for(user, collection_id)
    if int(request.META.get("CONTENT_LENGTH") or 0) > (settings.BUNDLE_LIMIT_MIB + 1) * MIB:
        messages.error(request, f"An archive has at most {settings.BUNDLE_LIMIT_MIB} MiB.")
        return redirect("console:collection", row.pk)
    file = request.FILES.get("archive")
    if file is None:
        messages.error(request, "Choose the zip that is to be imported.")
        return redirect("console:collection", row.pk)
    try:
        staged = transfers.stage_archive(row, file)
        seen = transfers.look_at_archive(user, row, staged)
    except Refused as refusal:
        tell(request, refusal)
        return redirect("console:collection", row.pk)
    return redirect("console:collection_import", row.pk, seen.pk)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def look(request: HttpRequest, collection_id: str, import_id: str) -> HttpResponse:
    """GET shows what an archive holds, POST imports it."""
    user = person(request)
    row = access.import_for(user, collection_id, import_id)
    context: dict[str, Any] = {"collection": row.collection, "import": row, "preview": row.preview}
    context["transfer"] = row.looking
    if request.method == "POST" and row.preview is not None:
        conflicts = request.POST.get("conflicts", "fail")
        asked = idempotency.fingerprint("console:import", row.pk, conflicts)
        try:
            transfers.check_choice(conflicts)
            # The archive is the key: a double click imports it once.
            idempotency.once(user, f"import-{row.pk}-{conflicts}", asked, partial(_apply, user, row, conflicts))
            return redirect("console:collection", collection_id)
        except Refused as refusal:
            context["error"] = str(refusal)
    elif row.operation_id:
        return redirect("console:operation", row.operation_id)
    if row.preview is None:
        return render(request, "tenants/collection_look.html", context)
    return render(request, "tenants/collection_import.html", context, status=422 if "error" in context else 200)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def wipe(request: HttpRequest, collection_id: str) -> HttpResponse:
    """GET asks, POST wipes when the collection's name is typed."""
    user = person(request)
    row = access.collection_for(user, collection_id)
    context: dict[str, Any] = {"collection": row, "contents": contents_of(row)}
    if request.method != "POST":
        return render(request, "tenants/collection_wipe.html", context)
    context["error"] = f"Type “{row.name}” to wipe it."
    if request.POST.get("name", "").strip() == row.name:
        try:
            transfers.wipe_collection(user, row)
            return redirect("console:collection", row.pk)
        except Refused as refusal:
            context["error"] = str(refusal)
    return render(request, "tenants/collection_wipe.html", context, status=422)


def transfers_of(user: User, row: Collection) -> dict[str, Any]:
    """For the collection's page: `transfer` (the newest operation, open or not) and `export` (one to be fetched)."""
    newest = access.operations_of(user).filter(collection=row).first()
    ready = access.exports_of(user, row.pk).filter(ended_at__isnull=True).exclude(sha256="").first()
    return {"transfer": newest, "export": ready, "archive_limit_mib": settings.BUNDLE_LIMIT_MIB}


def _apply(user: User, row: Import, conflicts: str) -> idempotency.Answer:
    return idempotency.Answer(202, {"id": transfers.apply_import(user, row, conflicts).pk})
