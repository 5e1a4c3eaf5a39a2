"""Every error of the API in one shape: `{"error": {"code", "message", "field", "detail"}}`."""

import logging
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.views import defaults
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.views import set_rollback

from tenants.errors import Refused

log = logging.getLogger(__name__)
API = "/api/"
_CODES: dict[type[exceptions.APIException], str] = {
    exceptions.ParseError: "malformed",
    exceptions.NotAuthenticated: "not_authenticated",
    exceptions.AuthenticationFailed: "not_authenticated",
    exceptions.PermissionDenied: "forbidden",
    exceptions.NotFound: "not_found",
    exceptions.MethodNotAllowed: "method_not_allowed",
    exceptions.NotAcceptable: "not_acceptable",
    exceptions.UnsupportedMediaType: "unsupported_media_type",
    exceptions.Throttled: "throttled",
}


def document(
    code: str, message: str, *, field: str | None = None, detail: dict[str, Any] | None = None
) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "field": field, "detail": detail or {}}}


def api_exception_handler(exc: Exception, _context: dict[str, Any]) -> Response | None:
    """None for defects of ours: they are logged with their traceback and answered by `server_error`."""
    answer = _answer(exc)
    if answer is not None:
        set_rollback()
    return answer


def _answer(exc: Exception) -> Response | None:
    if isinstance(exc, Refused):
        return Response(document(exc.code, str(exc), field=exc.field, detail=exc.detail), status=exc.status)
    if isinstance(exc, Http404):
        return Response(document("not_found", "There is nothing here, or it is not yours."), status=404)
    if isinstance(exc, PermissionDenied):
        return Response(document("forbidden", "You may not do this."), status=403)
    if isinstance(exc, RequestDataTooBig):
        return Response(document("too_large", "The request is too large."), status=413)
    if isinstance(exc, SuspiciousOperation):
        return Response(document("malformed", "The request is malformed."), status=400)
    if isinstance(exc, exceptions.ValidationError):
        return _invalid(exc)
    if isinstance(exc, exceptions.APIException):
        code = _CODES.get(type(exc), str(exc.default_code))
        return Response(document(code, str(exc.detail)), status=exc.status_code, headers=_headers(exc))
    return None


def _invalid(exc: exceptions.ValidationError) -> Response:
    """422 with the first field that is wrong; all of them are in detail.fields."""
    found = exc.detail
    fields = {str(k): _sentences(v) for k, v in found.items()} if isinstance(found, dict) else {}
    field = next(iter(fields), None)
    message = fields[field][0] if field is not None and fields[field] else _sentences(found)[0]
    named = None if field == "non_field_errors" else field
    body = document("invalid", message, field=named, detail={"fields": fields} if named else None)
    return Response(body, status=status.HTTP_422_UNPROCESSABLE_ENTITY)


def _sentences(found: Any) -> list[str]:
    if isinstance(found, dict):
        return [f"{name}: {text}" for name, inner in found.items() for text in _sentences(inner)]
    if isinstance(found, list):
        return [text for inner in found for text in _sentences(inner)]
    return [str(found)]


def _headers(exc: exceptions.APIException) -> dict[str, str]:
    headers: dict[str, str] = {}
    # Both are set by the framework's views on the way here.
    wait, challenge = getattr(exc, "wait", None), getattr(exc, "auth_header", None)
    if wait is not None:
        headers["Retry-After"] = str(int(wait) + 1)
    if challenge:
        headers["WWW-Authenticate"] = challenge
    return headers


def _is_api(request: HttpRequest) -> bool:
    return request.path.startswith(API)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if _is_api(request):
        too_big = isinstance(exception, RequestDataTooBig)
        code, text = (
            ("too_large", "The request is too large.") if too_big else ("malformed", "The request is malformed.")
        )
        return JsonResponse(document(code, text), status=413 if too_big else 400)
    return defaults.bad_request(request, exception)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if _is_api(request):
        return JsonResponse(document("forbidden", "You may not do this."), status=403)
    return defaults.permission_denied(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if _is_api(request):
        return JsonResponse(document("not_found", "There is nothing here, or it is not yours."), status=404)
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponseBase:
    if _is_api(request):
        return JsonResponse(document("internal", "Something went wrong on our side. It has been logged."), status=500)
    return defaults.server_error(request)


def no_such_route(_request: HttpRequest) -> HttpResponse:
    """Under /api/ nothing is redirected to a path with a slash: a POST would lose its body on the way."""
    text = "There is no such address. Paths of the API end with a slash."
    return JsonResponse(document("not_found", text), status=404)
