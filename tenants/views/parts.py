"""Bases, drives and folders as wholes: making empty ones, deleting them with all that is in them."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from tenants.errors import Refused
from tenants.models import Collection
from tenants.services import contents
from tenants.services.contents import Kind, NotThere
from tenants.views.data import of_collection
from tenants.views.person import tell


@of_collection
@require_POST
def make(request: HttpRequest, row: Collection) -> HttpResponse:
    """`kind` (bases or drives), `name`: an empty one."""
    kind: Kind = "drives" if request.POST.get("kind") == "drives" else "bases"
    name = request.POST.get("name", "").strip()
    try:
        contents.make(row, kind, name)
    except Refused as refusal:
        tell(request, refusal)
        return redirect("console:collection", row.pk)
    return redirect("console:drive" if kind == "drives" else "console:base", row.pk, name)


@of_collection
@require_http_methods(["GET", "HEAD", "POST"])
def drop_base(request: HttpRequest, row: Collection, base: str) -> HttpResponse:
    return _drop(request, row, "bases", base)


@of_collection
@require_http_methods(["GET", "HEAD", "POST"])
def drop_drive(request: HttpRequest, row: Collection, drive: str) -> HttpResponse:
    """All of it, or with `folder` what lies below that."""
    folder = request.GET.get("folder", "")
    return _drop_folder(request, row, drive, folder) if folder else _drop(request, row, "drives", drive)


def _drop(request: HttpRequest, row: Collection, kind: Kind, name: str) -> HttpResponse:
    what = "drive" if kind == "drives" else "base"
    context: dict[str, Any] = {"collection": row, "what": what, "name": name, "part": _part(row, kind, name)}
    context["back"] = reverse(f"console:{what}", args=[row.pk, name])
    if not _is_meant(request, context):
        return _ask(request, context)
    try:
        contents.drop(row, kind, name)
        messages.success(request, f"The {what} “{name}” is deleted with all that was in it.")
    except NotThere:
        raise Http404(f"There is no such {what}.") from None
    except Refused as refusal:
        return _ask(request, context | {"error": str(refusal)})
    return redirect("console:collection", row.pk)


def _drop_folder(request: HttpRequest, row: Collection, drive: str, folder: str) -> HttpResponse:
    context: dict[str, Any] = {"collection": row, "what": "folder", "name": folder}
    above = folder.rstrip("/").rpartition("/")[0]
    address = reverse("console:drive", args=[row.pk, drive])
    context["back"] = f"{address}?{urlencode({'prefix': folder})}"
    if not _is_meant(request, context):
        _part(row, "drives", drive)
        return _ask(request, context)
    try:
        count = contents.drop_folder(row, drive, folder)
    except Refused as refusal:
        return _ask(request, context | {"error": str(refusal)})
    messages.success(request, f"“{folder}” is deleted: {count} file{'' if count == 1 else 's'}.")
    return redirect(f"{address}?{urlencode({'prefix': above + '/'})}" if above else address)


def _is_meant(request: HttpRequest, context: dict[str, Any]) -> bool:
    """Whether its name was typed; else the page says so."""
    if request.method != "POST":
        return False
    if request.POST.get("name", "").strip() == str(context["name"]).strip():
        return True
    context["error"] = f"Type “{context['name']}” to delete it."
    return False


def _ask(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    return render(request, "tenants/data_remove.html", context, status=422 if "error" in context else 200)


def _part(row: Collection, kind: Kind, name: str) -> contents.Part:
    return contents.part(contents.parts_of(row, kind), name)
