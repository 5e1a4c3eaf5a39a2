"""`/cloud/`: limits, use, and what takes it."""

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from tenants.models import DataServer
from tenants.views import snapshots
from tenants.views.person import person

_NEARLY = 0.9  # a file system's own tables take a little of a disk


@never_cache
@login_required
@require_safe
def cloud(request: HttpRequest) -> HttpResponse:
    try:
        context = snapshots.cloud(person(request))
    except Http404:
        return render(request, "tenants/no_cloud.html")
    server = DataServer.objects.filter(cloud=context["cloud"]).first()
    context["small_disk"] = server if server and server.disk_bytes < _NEARLY * server.limit_bytes else None
    context["history"] = list(snapshots.history_of(context["cloud"]))
    return render(request, "tenants/cloud.html", context)
