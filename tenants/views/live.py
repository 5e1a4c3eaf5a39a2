"""Streams of the console and of the API. Asynchronous: they run in the live process only.

The console's are told HTML fragments with `?as=html` (the same partials as their pages), and documents otherwise.
"""

import json
from collections.abc import Callable, Coroutine
from functools import partial, wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.template.loader import render_to_string

from tenants import access
from tenants.models import User
from tenants.representation import instance_document, operation_document, revision_document
from tenants.services import tokens
from tenants.states import InstanceState
from tenants.views import snapshots, streams
from tenants.views.streams import Look, Sight

API = "/api/"
Stream = Callable[..., Coroutine[Any, Any, HttpResponseBase]]


def _asker(request: HttpRequest, area: str) -> User | None:
    """Who asks: by token for programs, by session for pages. None for nobody, PermissionError for too little right."""
    if not request.path.startswith(API):
        return request.user if isinstance(request.user, User) else None
    kind, _, plaintext = request.headers.get("Authorization", "").partition(" ")
    token = tokens.authenticate(plaintext.strip()) if kind.lower() == "bearer" else None
    if token is not None and not tokens.allows(token, area, writes=False):
        raise PermissionError(area)
    return token.user if token else None


def refusal(request: HttpRequest, status: int, code: str, message: str, field: str | None = None) -> HttpResponse:
    if request.path.startswith(API):
        error: dict[str, Any] = {"code": code, "message": message, "field": field, "detail": {}}
        return JsonResponse({"error": error}, status=status)
    return HttpResponse(message, status=status, content_type="text/plain; charset=utf-8")


def personal(area: str) -> Callable[[Stream], Stream]:
    """For a view (user, request, …): finds out who asks, and answers for it where they may not, or there is nothing."""

    def decorate(view: Stream) -> Stream:
        @wraps(view)
        async def asked(request: HttpRequest, **named: str) -> HttpResponseBase:
            if request.method not in ("GET", "HEAD"):
                return refusal(request, 405, "method_not_allowed", "Only GET.")
            try:
                user = await streams.in_database(partial(_asker, request, area))
                if user is None:
                    return _who_are_you(request)
                if streams.seats.is_full(user.pk):
                    return refusal(request, 429, "too_many_streams", "Too many open streams; close some pages.")
                return await view(user, request, **named)
            except PermissionError:
                return refusal(request, 403, "insufficient_scope", "The token’s scopes do not cover this.")
            except Http404:
                return refusal(request, 404, "not_found", "There is nothing here.")

        return asked

    return decorate


def _who_are_you(request: HttpRequest) -> HttpResponseBase:
    if request.path.startswith(API):
        return refusal(request, 401, "not_authenticated", "Send a valid token: Authorization: Bearer fh_…")
    return redirect_to_login(request.get_full_path())


@personal("instances")
async def operation_events(user: User, request: HttpRequest, operation_id: str) -> HttpResponseBase:
    def look() -> list[Sight]:
        seen = snapshots.operation(user, operation_id)
        document = operation_document(seen["operation"])
        show = _shower(request, "tenants/_operation_live.html", seen, document)
        return [Sight("operation", document, show, over=seen["is_over"])]

    return await _follow(user, look)


@personal("instances")
async def instance_events(user: User, request: HttpRequest, instance_id: str) -> HttpResponseBase:
    def look() -> list[Sight]:
        seen = snapshots.instance(user, instance_id)
        row, operation = seen["instance"], seen["operation"]
        document = instance_document(row)
        over = row.state == InstanceState.REMOVED
        told = operation_document(operation) if operation else None
        if request.GET.get("as") == "html":
            phases = [(micro.name, micro.phase) for micro in row.micros.all()]
            show = _shower(request, "tenants/_instance_live.html", seen, {})
            return [Sight("instance", (document, told, phases, row.log_tail), show, over)]
        sights = [Sight("instance", document, partial(json.dumps, document), over)]
        return sights + ([Sight("operation", told, partial(json.dumps, told), over)] if told else [])

    return await _follow(user, look)


@personal("cloud")
async def cloud_events(user: User, request: HttpRequest) -> HttpResponseBase:
    """`?as=home` and `?as=cloud` are for those pages; documents of every instance and open operation otherwise."""
    part = request.GET.get("as", "")
    reader = snapshots.cloud if part == "cloud" else snapshots.home

    def look() -> list[Sight]:
        seen = reader(user)
        instances = [instance_document(row) for row in seen["instances"]]
        open_ones = [seen["operation"]] if seen.get("operation") else seen.get("operations", [])
        operations = [operation_document(row) for row in open_ones]
        if part in ("home", "cloud"):
            version = (instances, operations, seen["used"], seen["quota"], seen["cloud"].state, seen["notices"])
            return [Sight(part, version, _shower(request, f"tenants/_{part}_live.html", seen, {}))]
        told = [("instance", document) for document in instances] + [("operation", one) for one in operations]
        return [Sight(name, document, partial(json.dumps, document)) for name, document in told]

    return await _follow(user, look)


@personal("projects")
async def project_events(user: User, request: HttpRequest, slug: str) -> HttpResponseBase:
    def look() -> list[Sight]:
        seen = snapshots.project(user, slug)
        documents = [revision_document(row) for row in seen["revisions"]]
        if request.GET.get("as") == "html":
            return [Sight("project", documents, _shower(request, "tenants/_project_live.html", seen, {}))]
        return [Sight("revision", document, partial(json.dumps, document)) for document in documents]

    return await _follow(user, look)


@personal("projects")
async def revision_events(user: User, request: HttpRequest, slug: str, revision_id: str) -> HttpResponseBase:
    def look() -> list[Sight]:
        seen = snapshots.revision(user, slug, revision_id)
        document = revision_document(seen["revision"])
        told = operation_document(seen["operation"]) if seen["operation"] else None
        version = {"id": revision_id, "revision": document, "operation": told}
        show = _shower(request, "tenants/_revision_live.html", seen, document)
        return [Sight("revision", version, show, over=seen["is_over"])]

    return await _follow(user, look)


def _shower(request: HttpRequest, template: str, context: Any, document: Any) -> Callable[[], str]:
    if request.GET.get("as", ""):
        return partial(render_to_string, template, context, request)
    return partial(json.dumps, document)


async def _follow(user: User, look: Look) -> HttpResponseBase:
    """Look once before answering, so that what is not there is a 404 and not a stream."""
    cloud = await streams.in_database(partial(_cloud_and_look, user, look))
    return streams.answer(streams.changes(cloud, user.pk, look))


def _cloud_and_look(user: User, look: Look) -> str:
    look()
    return access.cloud_of(user).pk
