"""An archive for a collection in parts, as uploads.js sends it; refusals in words that it shows."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.views.decorators.http import require_POST

from tenants import access
from tenants.errors import Refused
from tenants.models import Collection
from tenants.services import uploads
from tenants.views.data import of_collection
from tenants.views.drives import pieces, told
from tenants.views.person import person


@of_collection
@require_POST
@told
def begin(request: HttpRequest, row: Collection) -> HttpResponse:
    """`size`, `fingerprint` → `{"upload": id, "part_bytes": n, "parts": numbers of those that are there}`"""
    size = _number(request, "size")
    made, progress = uploads.begin(person(request), row, size, request.GET.get("fingerprint", ""))
    body = {"upload": made.pk, "part_bytes": progress.part_bytes, "parts": progress.parts}
    return JsonResponse(body, status=201)


@of_collection
@require_POST
@told
def part(request: HttpRequest, row: Collection, import_id: str) -> HttpResponse:
    """`part`, perhaps `sha256`: the body is that part. Without `part`: all has been sent → `{"next": address}`"""
    user = person(request)
    found = access.import_for(user, row.pk, import_id)
    if "part" not in request.GET:
        uploads.check_whole(found)
        uploads.finish(user, found)
        return JsonResponse({"next": reverse("console:collection_import", args=[row.pk, found.pk])})
    size = request.headers.get("Content-Length", "")
    if not size.isdigit():
        raise Refused("no_length", "A part says how long it is.")
    uploads.put_part(found, _number(request, "part"), request.GET.get("sha256", ""), pieces(request), int(size))
    return JsonResponse({})


def _number(request: HttpRequest, name: str) -> int:
    given = request.GET.get(name, "")
    if not (given.isascii() and given.isdigit() and len(given) <= 15):
        raise Refused(f"invalid_{name}", f"{name} is a whole number.", field=name)
    return int(given)
