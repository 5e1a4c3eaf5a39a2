"""The console's buttons that lead to the payment provider: first a page with a link, since our forms lead nowhere else."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from provider.billing import paying
from tenants.errors import Refused
from tenants.views.person import person, tell


@never_cache
@login_required
@require_POST
def checkout(request: HttpRequest) -> HttpResponse:
    try:
        url = paying.start_checkout(person(request), request.POST.get("plan", "")[:50])
    except Refused as refusal:
        tell(request, refusal)
        return redirect("console:billing")
    if url is None:
        messages.success(request, "Your subscription is changed; what you paid for the rest of its period counts.")
        return redirect("console:billing")
    return render(request, "tenants/pay.html", {"url": url, "what": "pay"})


@never_cache
@login_required
@require_POST
def portal(request: HttpRequest) -> HttpResponse:
    try:
        url = paying.open_portal(person(request))
    except Refused as refusal:
        tell(request, refusal)
        return redirect("console:billing")
    return render(request, "tenants/pay.html", {"url": url, "what": "portal"})
