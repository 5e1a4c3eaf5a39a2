"""`/settings/`: the account, and tokens for programs."""

from functools import partial
from typing import Any

from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from tenants import access
from tenants.errors import Refused
from tenants.models import User
from tenants.services import idempotency, sessions, tokens
from tenants.views.forms import TokenForm
from tenants.views.person import person, show


@never_cache
@login_required
@require_safe
def settings(request: HttpRequest) -> HttpResponse:
    return _page(request, TokenForm())


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def create_token(request: HttpRequest) -> HttpResponse:
    """The one POST that is answered with a page instead of a redirect: the token must not be written down in between.

    A reload sends the same key again and makes no second token.
    """
    if request.method != "POST":
        return redirect("console:settings")
    user = person(request)
    form = TokenForm(request.POST)
    if form.is_valid():
        asked = idempotency.fingerprint("console:token", {n: v for n, v in form.data.items() if "csrf" not in n})
        try:
            answer = idempotency.once(user, form.key, asked, partial(_issue, user, form))
        except Refused as refusal:
            show(refusal, form)
        else:
            if answer.replayed:
                messages.info(request, "That token was made already. It was shown once and cannot be shown again.")
                return redirect("console:settings")
            shown = {"new_token": answer.full["token"], "new_token_name": answer.body["name"]}
            return _page(request, TokenForm(), **shown)
    return _page(request, form, status=422)


@login_required
@require_POST
def revoke_token(request: HttpRequest, token_id: str) -> HttpResponse:
    user = person(request)
    token = access.token_for(user, token_id)
    tokens.revoke_token(user, token.pk)
    messages.success(request, f"“{token.name}” is revoked. Programs that use it are refused from now on.")
    return redirect("console:settings")


@login_required
@require_POST
def sign_out_everywhere(request: HttpRequest) -> HttpResponse:
    """This session too. Tokens of programs are another matter, and stay."""
    sessions.end_all(person(request))
    logout(request)
    messages.success(request, "You are signed out everywhere: in every browser, and in every app.")
    return redirect("account_login")


def _issue(user: User, form: TokenForm) -> idempotency.Answer:
    token, plaintext = tokens.issue_token(
        user, form.cleaned_data["name"], [form.cleaned_data["scopes"]], form.expires_at()
    )
    return idempotency.Answer(201, {"id": token.pk, "name": token.name}, secret={"token": plaintext})


def _page(request: HttpRequest, form: TokenForm, status: int = 200, **shown: Any) -> HttpResponse:
    context = {"tokens": list(access.tokens_of(person(request))), "form": form, **shown}
    return render(request, "tenants/settings.html", context, status=status)
