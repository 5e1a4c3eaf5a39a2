"""What browsers may do with our pages: nothing but what comes from us."""

from collections.abc import Awaitable, Callable
from typing import Any, cast

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

# Signing in may end, through redirects, on an instance: Chromium holds redirects of a form against form-action too.
_APPS = f"{settings.APPS_SCHEME}://*.{settings.APPS_DOMAIN}:*"
_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; "
    f"form-action 'self' {_APPS}"
)
# The API's own documentation writes styles into its page; no page with anybody's data on it is loosened.
_API_DOCS = _POLICY + "; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'"


def _mark(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    policy = _API_DOCS if request.path == "/api/v1/docs/" else _POLICY
    response.headers.setdefault("Content-Security-Policy", policy)
    response.headers.setdefault("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
    return response


@sync_and_async_middleware
def content_security(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    if iscoroutinefunction(get_response):
        following = cast(Callable[[HttpRequest], Awaitable[HttpResponseBase]], get_response)

        async def answered(request: HttpRequest) -> HttpResponseBase:
            return _mark(request, await following(request))

        return answered

    def answer(request: HttpRequest) -> HttpResponseBase:
        return _mark(request, get_response(request))

    return answer
