"""What people see while the database is away: a page that says so, instead of a defect."""

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.utils.deprecation import MiddlewareMixin
from psycopg_pool import PoolTimeout

from provider.http_errors import API, document

AWAY = (OperationalError, InterfaceError, PoolTimeout)
RETRY_AFTER_S = "5"


class Outage(MiddlewareMixin):
    """The page it answers with asks the database for nothing, not even who is looking."""

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, AWAY):
            return None
        headers = {"Retry-After": RETRY_AFTER_S}
        if request.path.startswith(API):
            message = "A part of Freehold is restarting; try again in a few seconds."
            return JsonResponse(document("unavailable", message), status=503, headers=headers)
        return HttpResponse(render_to_string("503.html"), status=503, headers=headers)
