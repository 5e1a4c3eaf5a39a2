"""An instance's scheduled actions: its page's buttons, and the page of one with its runs."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from tenants import access
from tenants.errors import Refused
from tenants.models import Action
from tenants.services import actions
from tenants.views.forms import IntervalForm
from tenants.views.person import person, show, tell


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def action(request: HttpRequest, instance_id: str, key: str) -> HttpResponse:
    """GET shows when it is done and how it went, POST changes when."""
    user = person(request)
    row = access.action_for(user, instance_id, key)
    form = IntervalForm(request.POST) if request.method == "POST" else IntervalForm.of(row.chosen_interval)
    if form.is_bound and form.is_valid():
        try:
            chosen = form.interval_chosen()
            actions.change_action(user, row, interval=chosen, own_interval=chosen is None)
            messages.success(request, f"“{row.name}” follows its new times from now on.")
            return redirect("console:action", instance_id, key)
        except Refused as refusal:
            show(refusal, form)
    return _page(request, row, form)


def _page(request: HttpRequest, row: Action, form: IntervalForm) -> HttpResponse:
    [shown] = actions.with_last([row])
    context = {"instance": row.instance, "scheduled": shown, "runs": list(row.runs.all()), "form": form}
    return render(request, "tenants/action.html", context, status=422 if form.is_bound else 200)


@login_required
@require_POST
def switch(request: HttpRequest, instance_id: str, key: str) -> HttpResponse:
    """`on` is yes or no."""
    user = person(request)
    row = access.action_for(user, instance_id, key)
    try:
        actions.change_action(user, row, is_on=request.POST.get("on") == "yes")
    except Refused as refusal:
        tell(request, refusal)
    return _back(request, instance_id, key)


@login_required
@require_POST
def run(request: HttpRequest, instance_id: str, key: str) -> HttpResponse:
    """Do it now. A second click while it is at work is told so."""
    user = person(request)
    row = access.action_for(user, instance_id, key)
    try:
        actions.run_now(user, row)
    except Refused as refusal:
        tell(request, refusal)
    return _back(request, instance_id, key)


def _back(request: HttpRequest, instance_id: str, key: str) -> HttpResponse:
    """To the page whose button it was."""
    if request.POST.get("from") == "action":
        return redirect("console:action", instance_id, key)
    return redirect("console:instance", instance_id)
