"""Content of files that apps have written: a stranger's, on our address. Streamed, and never more than looked at.

A file is shown only where its type is one that browsers display without running anything of it. The rest is saved to the
disk. All of it comes with a policy that makes a document of it an origin of its own which may load and run nothing, in
case a browser makes a document of it after all.
"""

from collections.abc import AsyncIterator

import httpx
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.http import content_disposition_header
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from tenants import access
from tenants.data_secrets import ADMIN_PATH, cloud_secrets
from tenants.models import User
from tenants.services import files
from tenants.services.contents import Away, upstream_of

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"
# Chromium's viewer of PDFs does not work in a sandbox; it is itself no document of our origin.
_POLICY_OF_PDF = f"{_POLICY}; object-src 'self'"
_IMAGES = {"image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp", "image/svg+xml"}
_TEXTS = {"application/json", "application/xml", "application/javascript", "application/x-yaml", "application/toml"}
_PASSED_ON = ("Content-Length", "Content-Range", "Accept-Ranges", "ETag")
_TIMEOUT_S = 30.0


def kind_of(content_type: str) -> str:
    """image, audio, video, pdf, text; "" for what is not shown."""
    plain = content_type.partition(";")[0].strip().lower()
    if plain in _IMAGES:
        return "image"
    if plain == "application/pdf":
        return "pdf"
    main = plain.partition("/")[0]
    if main in ("audio", "video"):
        return main
    return "text" if main == "text" or plain in _TEXTS else ""


@never_cache
@login_required
@require_safe
async def content(request: HttpRequest, collection_id: str, drive: str) -> HttpResponseBase:
    """`name`: which. `save`: to the disk, whatever it is. Ranges as the browser asks for them."""
    user, name = await request.auser(), request.GET.get("name")
    if not name or not isinstance(user, User):
        raise Http404("There is no file without a name.")
    try:
        client = await sync_to_async(_client)(user, collection_id)
    except Away:
        return HttpResponse("The data server does not answer.", status=503, content_type="text/plain")
    asked = {header: request.headers[header] for header in ("Range", "If-Range") if header in request.headers}
    try:
        upstream = client.build_request(request.method or "GET", files.download(drive, name), headers=asked)
        answer = await client.send(upstream, stream=True)
    except httpx.HTTPError:
        await client.aclose()
        return HttpResponse("The data server does not answer.", status=503, content_type="text/plain")
    if answer.status_code not in (200, 206, 416) or request.method == "HEAD":
        await client.aclose()
        if answer.status_code not in (200, 206, 416):
            raise Http404("There is no file of that name.")
        return _marked(HttpResponse(status=answer.status_code), answer, name, "save" in request.GET)
    found = StreamingHttpResponse(_pieces(client, answer), status=answer.status_code)
    return _marked(found, answer, name, "save" in request.GET)


def _client(user: User, collection_id: str) -> httpx.AsyncClient:
    """Raises Http404 for strangers, Away."""
    row = access.collection_for(user, collection_id)
    address = f"http://{upstream_of(row)}{ADMIN_PATH}/collections/{row.project_id}/"
    headers = {"Authorization": f"Bearer {cloud_secrets(settings.DATA_KEY, row.cloud_id).admin}"}
    return httpx.AsyncClient(base_url=address, headers=headers, timeout=_TIMEOUT_S, trust_env=False)


async def _pieces(client: httpx.AsyncClient, answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for piece in answer.aiter_raw():
            yield piece
    finally:
        await client.aclose()


def _marked(found: HttpResponseBase, answer: httpx.Response, name: str, save: bool) -> HttpResponseBase:
    for header in _PASSED_ON:
        if header in answer.headers:
            found[header] = answer.headers[header]
    kind = kind_of(answer.headers.get("Content-Type", ""))
    shown = {"": "application/octet-stream", "text": "text/plain; charset=utf-8"}
    found["Content-Type"] = shown.get(kind) or answer.headers["Content-Type"].partition(";")[0].strip()
    disposition = content_disposition_header(save or not kind, name.rpartition("/")[2])
    if disposition:
        found["Content-Disposition"] = disposition
    found["Content-Security-Policy"] = _POLICY_OF_PDF if kind == "pdf" else f"{_POLICY}; sandbox"
    found["X-Content-Type-Options"] = "nosniff"
    found["X-Frame-Options"] = "SAMEORIGIN"
    found["Cross-Origin-Resource-Policy"] = "same-origin"
    return found
