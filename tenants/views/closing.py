"""`/settings/close/`: leaving, and staying after all."""

from datetime import timedelta

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from tenants import access
from tenants.errors import Refused
from tenants.services.closing import close_account, reopen_account
from tenants.states import CloudState
from tenants.views import snapshots
from tenants.views.person import person, show, tell


class CloseForm(forms.Form):
    handle = forms.CharField(
        max_length=64, label="Your handle", help_text="Type it, so that this is not a slip.", strip=True
    )


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def close(request: HttpRequest) -> HttpResponse:
    """GET asks, POST closes and signs out. Where it is closing already: until when it can be kept."""
    user = person(request)
    cloud = access.cloud_of(user)
    form = CloseForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        if form.cleaned_data["handle"].lower() != user.handle:
            form.add_error("handle", "This is not your handle.")
        else:
            try:
                close_account(user)
            except Refused as refusal:
                show(refusal, form)
            else:
                logout(request)
                messages.success(request, "Your account is being closed. Until its date you can sign in and keep it.")
                return redirect("console:home")
    context = {
        "form": form,
        "cloud": cloud,
        "is_closing": cloud.state == CloudState.CLOSING,
        "days": settings.ERASE_AFTER_DAYS,
        "erase_at": cloud.erase_at or timezone.now() + timedelta(days=settings.ERASE_AFTER_DAYS),
        "instances": list(snapshots.installed(user)),
        "projects": list(access.projects_of(user)),
    }
    return render(request, "tenants/close.html", context, status=422 if form.errors else 200)


@login_required
@require_POST
def keep(request: HttpRequest) -> HttpResponse:
    user = person(request)
    try:
        reopen_account(user)
    except Refused as refusal:
        tell(request, refusal)
        return redirect("console:account_close")
    messages.success(request, "You keep your account. What ran before is being started again.")
    return redirect("console:cloud")
