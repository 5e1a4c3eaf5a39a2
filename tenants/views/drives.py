"""`/collections/<id>/drives/<name>/`: a person's files, in folders. Their content is served by content.py."""

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from tenants.errors import Refused
from tenants.models import Collection
from tenants.services import files
from tenants.services.contents import NotThere
from tenants.views.content import kind_of
from tenants.views.data import link, of_collection
from tenants.views.person import tell

_PIECE_BYTES = 64 * 1024


@of_collection
@require_safe
def drive(request: HttpRequest, row: Collection, drive: str) -> HttpResponse:
    """`prefix`: the folder, with its slash. `last`: where the page begins."""
    prefix = request.GET.get("prefix", "")
    if prefix and not prefix.endswith("/"):
        prefix += "/"
    folder = files.look(row, drive, prefix, request.GET.get("last", ""))
    context = {"collection": row, "folder": folder, "prefix": prefix, "crumbs": _crumbs(prefix)}
    if folder.last is not None:
        context["next"] = link(prefix=prefix, last=folder.last)
    return render(request, "tenants/data_drive.html", context)


@of_collection
@require_safe
def file(request: HttpRequest, row: Collection, drive: str) -> HttpResponse:
    """`name`: which."""
    return _file_page(request, row, drive, files.find(row, drive, _name(request)))


@of_collection
@require_POST
def rename(request: HttpRequest, row: Collection, drive: str) -> HttpResponse:
    old, new = request.POST.get("name", ""), request.POST.get("to", "").strip()
    try:
        files.rename(row, drive, old, new)
    except NotThere:
        raise
    except Refused as refusal:
        found = files.find(row, drive, old)
        return _file_page(request, row, drive, found, status=422, wrong=str(refusal), to=new)
    messages.success(request, "It has its new name.")
    return redirect(reverse("console:drive_file", args=[row.pk, drive]) + link(name=new))


@of_collection
@require_POST
def delete(request: HttpRequest, row: Collection, drive: str) -> HttpResponse:
    name = request.POST.get("name", "")
    try:
        files.delete(row, drive, name)
        messages.success(request, "The file is deleted.")
    except NotThere:
        raise
    except Refused as refusal:
        tell(request, refusal)
    return redirect(reverse("console:drive", args=[row.pk, drive]) + link(prefix=_folder(name)))


def told(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Refusals in the words of the data server, for uploads.js to show."""

    @wraps(view)
    def answer(request: HttpRequest, row: Collection, **given: Any) -> HttpResponse:
        try:
            return view(request, row, **given)
        except Refused as refusal:
            return JsonResponse({"message": str(refusal)}, status=refusal.status)

    return answer


@of_collection
@require_POST
@told
def upload(request: HttpRequest, row: Collection, drive: str) -> HttpResponse:
    """`name`, perhaps `type`: begins an upload. → `{"upload": id}`"""
    made = files.begin(row, drive, _name(request), request.GET.get("type", ""))
    return JsonResponse({"upload": made}, status=201)


@of_collection
@require_POST
@told
def upload_part(request: HttpRequest, row: Collection, drive: str, upload: str) -> HttpResponse:
    """`name` and `part`: the body is that part. Without `part`: all has been sent."""
    name, number = _name(request), request.GET.get("part", "")
    if not number:
        files.finish(row, drive, name, upload)
        return JsonResponse({})
    if not (number.isascii() and number.isdigit() and len(number) <= 7):
        raise Refused("invalid_part", "part is a whole number.", field="part")
    size = request.headers.get("Content-Length", "")
    if not size.isdigit():
        raise Refused("no_length", "A part says how long it is.")
    files.put_part(row, drive, name, upload, int(number), pieces(request), int(size))
    return JsonResponse({})


def pieces(request: HttpRequest) -> Iterator[bytes]:
    while piece := request.read(_PIECE_BYTES):
        yield piece


def _file_page(
    request: HttpRequest, row: Collection, drive: str, found: files.Entry, *, status: int = 200, **more: str
) -> HttpResponse:
    kind = kind_of(found.type)
    address = reverse("console:drive_content", args=[row.pk, drive])
    context = {
        "collection": row, "drive": drive, "file": found, "kind": kind, "folder": _folder(found.name),
        "address": address + link(name=found.name), "save": address + link(name=found.name, save="1"), **more,
    }  # fmt: skip
    if kind == "text":
        context["text"] = files.beginning(row, drive, found.name)
        context["is_cut"] = found.size_bytes > files.TEXT_BYTES
    return render(request, "tenants/data_file.html", context, status=status)


def _folder(name: str) -> str:
    return name[: name.rfind("/") + 1]


def _crumbs(prefix: str) -> list[tuple[str, str]]:
    """(title, prefix) of the folder and of those it lies in."""
    parts = prefix.split("/")[:-1]
    return [(part or "/", "/".join(parts[: n + 1]) + "/") for n, part in enumerate(parts)]


def _name(request: HttpRequest) -> str:
    name = request.GET.get("name")
    if not name:
        raise NotThere("no_file", "There is no file without a name.")
    return str(name)
