"""The zip of an export, any range of it. Asynchronous, in the live process: somebody may fetch it for hours."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial

import httpx
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils import timezone
from django.utils.http import content_disposition_header
from django.utils.text import slugify

from tenants import access
from tenants.models import Export, User
from tenants.reconcile import data_admin
from tenants.services import data_sleep, leaving
from tenants.states import WorkState
from tenants.views import streams
from tenants.views.live import personal, refusal

_PASSED_ON = ("content-length", "content-range", "accept-ranges", "etag")
_TIMEOUT = httpx.Timeout(60.0, connect=5.0)


@personal("collections")
async def export_file(user: User, request: HttpRequest, collection_id: str, export_id: str) -> HttpResponseBase:
    export, upstream = await streams.in_database(partial(_find, user, collection_id, export_id))
    if export.ended_at is not None:
        return _ended(request)
    if export.operation.state != WorkState.SUCCEEDED:
        return refusal(request, 409, "export_not_ready", "The export is not made yet, or failed: see its operation.")
    if not upstream:
        return _away(request)
    address, headers = data_admin.way_in(export.collection.cloud_id, upstream)
    headers |= {name: request.headers[name] for name in ("Range", "If-Range") if name in request.headers}
    stack = AsyncExitStack()
    try:
        client = await stack.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=_TIMEOUT))
        method = "HEAD" if request.method == "HEAD" else "GET"
        answer = await stack.enter_async_context(
            client.stream(method, f"{address}exports/{export.remote}", headers=headers)
        )
        return await _pass_on(user, request, export, answer, stack)
    except httpx.HTTPError:
        await stack.aclose()
        return _away(request)
    except BaseException:
        await stack.aclose()
        raise


def _find(user: User, collection_id: str, export_id: str) -> tuple[Export, str]:
    export = access.export_for(user, collection_id, export_id)
    if not leaving.is_up(export.collection.cloud):
        _end(export)
        export.ended_at = timezone.now()
    server = data_sleep.roused(export.collection.cloud_id)
    return export, (server.upstream if server else "")


async def _pass_on(
    user: User, request: HttpRequest, export: Export, answer: httpx.Response, stack: AsyncExitStack
) -> HttpResponseBase:
    """The answer takes over what is open in `stack`."""
    if answer.status_code not in (200, 206):
        await stack.aclose()
        if answer.status_code == 410:
            await streams.in_database(partial(_end, export))
            return _ended(request)
        if answer.status_code == 416:
            outside = refusal(request, 416, "no_such_range", "The range lies outside the export.", "Range")
            outside["Content-Range"] = f"bytes */{export.size_bytes}"
            return outside
        return _away(request)
    out: HttpResponseBase
    if request.method == "HEAD":
        await stack.aclose()
        out = HttpResponse(content_type="application/zip", status=answer.status_code)
    else:
        body = _pieces(user, answer, stack)
        out = StreamingHttpResponse(body, content_type="application/zip", status=answer.status_code)
    for name in _PASSED_ON:
        if name in answer.headers:
            out[name] = answer.headers[name]
    out["Content-Disposition"] = content_disposition_header(True, _file_name(export)) or "attachment"
    out["X-Checksum-Sha256"] = export.sha256
    out["Cache-Control"] = "private, no-store, no-transform"
    return out


async def _pieces(user: User, answer: httpx.Response, stack: AsyncExitStack) -> AsyncIterator[bytes]:
    async with stack:
        with streams.seats.one(user.pk):
            async for piece in answer.aiter_raw():
                yield piece


def _file_name(export: Export) -> str:
    made = f"-{export.made_at:%Y-%m-%d}" if export.made_at else ""
    return f"{slugify(export.collection.name) or export.collection.project_id}{made}.zip"


def _end(export: Export) -> None:
    Export.objects.filter(pk=export.pk, ended_at__isnull=True).update(ended_at=timezone.now())


def _ended(request: HttpRequest) -> HttpResponse:
    return refusal(request, 410, "export_ended", "This export can be fetched no more: make a new one.")


def _away(request: HttpRequest) -> HttpResponse:
    return refusal(request, 503, "data_server_away", "Your cloud’s data server does not answer. Try again in a moment.")
