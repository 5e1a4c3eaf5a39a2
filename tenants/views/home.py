"""`/`: what Freehold is, for strangers; their apps, for people."""

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from apps_catalog.services import listed_apps
from tenants import access
from tenants.views import snapshots
from tenants.views.person import person

ON_LANDING = 6


@never_cache
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    if not request.user.is_authenticated:
        context = {"apps": list(listed_apps()[:ON_LANDING]), "signup_open": settings.SIGNUP == "open"}
        return render(request, "tenants/landing.html", context)
    try:
        context = snapshots.home(person(request)) | {"shares": list(access.shared_with(person(request)))}
    except Http404:
        return render(request, "tenants/no_cloud.html")
    return render(request, "tenants/home.html", context)
