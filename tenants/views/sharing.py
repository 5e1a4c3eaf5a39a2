"""`/instances/<id>/access/`: who may enter beside its owner. `/shared/`: what others share with one."""

from functools import partial
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from tenants import access
from tenants.errors import Refused
from tenants.models import Instance, User
from tenants.services import app_keys, idempotency, sharing
from tenants.services.instances import renew_calls_key
from tenants.states import InstanceState
from tenants.views.forms import AppKeyForm, InviteForm
from tenants.views.person import person, show, tell


@never_cache
@login_required
@require_safe
def access_page(request: HttpRequest, instance_id: str) -> HttpResponse:
    return _page(request, access.instance_for(person(request), instance_id))


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def invite(request: HttpRequest, instance_id: str) -> HttpResponse:
    user = person(request)
    row = access.instance_for(user, instance_id)
    if request.method != "POST":
        return redirect("console:instance_access", instance_id)
    form = InviteForm(request.POST)
    if form.is_valid():
        try:
            share = sharing.invite(user, row, form.cleaned_data["email"])
            messages.success(request, f"{share.email} is invited. They are in once they accept.")
            return redirect("console:instance_access", instance_id)
        except Refused as refusal:
            show(refusal, form)
    return _page(request, row, invite=form, status=422)


@login_required
@require_POST
def end_share(request: HttpRequest, instance_id: str, share_id: str) -> HttpResponse:
    user = person(request)
    share = access.share_for(user, instance_id, share_id)
    sharing.end(user, share)
    messages.success(request, f"{share.email} is not invited any more.")
    return redirect("console:instance_access", instance_id)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def make_key(request: HttpRequest, instance_id: str) -> HttpResponse:
    """Answered with a page instead of a redirect, as for tokens: the key must not be written down in between."""
    user = person(request)
    row = access.instance_for(user, instance_id)
    if request.method != "POST":
        return redirect("console:instance_access", instance_id)
    form = AppKeyForm(app_keys.micros_with_keys(row), request.POST)
    if form.is_valid():
        asked = idempotency.fingerprint("console:app_key", instance_id, request.POST.dict())
        try:
            answer = idempotency.once(user, form.key, asked, partial(_issue, user, row, form))
        except Refused as refusal:
            show(refusal, form)
        else:
            if answer.replayed:
                messages.info(request, "That key was made already. It was shown once and cannot be shown again.")
                return redirect("console:instance_access", instance_id)
            return _page(request, row, new_key=answer.full["key"], new_key_name=form.cleaned_data["name"])
    return _page(request, row, key_form=form, status=422)


@login_required
@require_POST
def revoke_key(request: HttpRequest, instance_id: str, key_id: str) -> HttpResponse:
    user = person(request)
    key = access.app_key_for(user, instance_id, key_id)
    app_keys.revoke_key(user, key)
    messages.success(request, f"“{key.name}” is revoked. Whoever uses it is refused from now on.")
    return redirect("console:instance_access", instance_id)


@login_required
@require_POST
def renew_calls(request: HttpRequest, instance_id: str) -> HttpResponse:
    user = person(request)
    row = access.instance_for(user, instance_id)
    try:
        renew_calls_key(user, row)
    except Refused as refusal:
        tell(request, refusal)
        return redirect("console:instance_access", instance_id)
    return redirect("console:instance", instance_id)


@never_cache
@login_required
@require_safe
def shared(request: HttpRequest) -> HttpResponse:
    return render(request, "tenants/shared.html", {"shares": list(access.shared_with(person(request)))})


@login_required
@require_POST
def answer(request: HttpRequest, share_id: str) -> HttpResponse:
    """`answer`: accept, decline or leave."""
    user = person(request)
    share = access.share_with(user, share_id)
    given = request.POST.get("answer", "")
    try:
        if given in ("accept", "decline"):
            sharing.answer(user, share, accept=given == "accept")
        elif given == "leave":
            sharing.end(user, share)
    except Refused as refusal:
        tell(request, refusal)
    return redirect("console:shared")


def _issue(user: User, row: Instance, form: AppKeyForm) -> idempotency.Answer:
    key, text = app_keys.make_key(
        user, row, form.cleaned_data["name"], form.cleaned_data["micro"] or None, form.expires_at()
    )
    return idempotency.Answer(201, {"id": key.pk}, secret={"key": text})


def _page(request: HttpRequest, row: Instance, *, status: int = 200, **more: Any) -> HttpResponse:
    takes = app_keys.micros_with_keys(row)
    context = {
        "instance": row,
        "is_gone": row.state in (InstanceState.REMOVING, InstanceState.REMOVED),
        "guests": list(access.shares_of(row)),
        "keys": list(row.app_keys.all()),
        "takes_keys": takes,
        "calls": len(row.micros.all()) > 1,
        "invite": InviteForm(),
        "key_form": AppKeyForm(takes),
        **more,
    }
    return render(request, "tenants/instance_access.html", context, status=status)
