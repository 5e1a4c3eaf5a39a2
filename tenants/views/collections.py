"""`/collections/`: data that belongs to the person, whichever app wrote it."""

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
from tenants.models import Collection, User
from tenants.services import collections as services
from tenants.services import idempotency
from tenants.services.contents import contents_of
from tenants.views.forms import CollectionForm, DataKeyForm
from tenants.views.person import person, show, tell
from tenants.views.transfers import transfers_of


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def collections(request: HttpRequest) -> HttpResponse:
    user = person(request)
    form = CollectionForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        name = form.cleaned_data["name"]
        asked = idempotency.fingerprint("console:collection", name)
        try:
            answer = idempotency.once(user, form.key, asked, partial(_create, user, name))
            return redirect("console:collection", answer.body["id"])
        except Refused as refusal:
            show(refusal, form)
    context = {"collections": list(access.collections_of(user)), "form": form}
    return render(request, "tenants/collections.html", context, status=422 if form.is_bound else 200)


@never_cache
@login_required
@require_safe
def collection(request: HttpRequest, collection_id: str) -> HttpResponse:
    return _page(request, access.collection_for(person(request), collection_id), DataKeyForm())


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def create_key(request: HttpRequest, collection_id: str) -> HttpResponse:
    """Answered with a page instead of a redirect, as for tokens: the key must not be written down in between."""
    user = person(request)
    row = access.collection_for(user, collection_id)
    if request.method != "POST":
        return redirect("console:collection", collection_id)
    form = DataKeyForm(request.POST)
    if form.is_valid():
        name = form.cleaned_data["name"]
        asked = idempotency.fingerprint("console:data_key", collection_id, name)
        try:
            answer = idempotency.once(user, form.key, asked, partial(_issue, user, row, name))
        except Refused as refusal:
            show(refusal, form)
        else:
            if answer.replayed:
                messages.info(request, "That key was made already. It was shown once and cannot be shown again.")
                return redirect("console:collection", collection_id)
            return _page(request, row, DataKeyForm(), new_key=answer.full["key"], new_key_name=name)
    return _page(request, row, form, status=422)


@login_required
@require_POST
def revoke_key(request: HttpRequest, collection_id: str, key_id: str) -> HttpResponse:
    user = person(request)
    key = access.data_key_for(user, collection_id, key_id)
    try:
        services.revoke_key(user, key.collection, key)
        messages.success(request, f"“{key.name}” is revoked. Whoever uses it is refused from now on.")
    except Refused as refusal:
        tell(request, refusal)
    return redirect("console:collection", collection_id)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def remove(request: HttpRequest, collection_id: str) -> HttpResponse:
    """GET asks, POST removes when the collection's name is typed."""
    user = person(request)
    row = access.collection_for(user, collection_id)
    context: dict[str, Any] = {"collection": row, "contents": contents_of(row)}
    if request.method != "POST":
        return render(request, "tenants/collection_remove.html", context)
    context["error"] = f"Type “{row.name}” to delete it."
    if request.POST.get("name", "").strip() == row.name:
        try:
            services.remove_collection(user, row)
            messages.success(request, f"“{row.name}” is deleted with all that was in it.")
            return redirect("console:collections")
        except Refused as refusal:
            context["error"] = str(refusal)
    return render(request, "tenants/collection_remove.html", context, status=422)


def _page(request: HttpRequest, row: Collection, form: DataKeyForm, *, status: int = 200, **shown: str) -> HttpResponse:
    context = {"collection": row, "contents": contents_of(row), "keys": list(row.keys.all()), "form": form, **shown}
    context |= transfers_of(person(request), row)
    return render(request, "tenants/collection.html", context, status=status)


def _create(user: User, name: str) -> idempotency.Answer:
    return idempotency.Answer(201, {"id": services.create_collection(user, name).pk})


def _issue(user: User, row: Collection, name: str) -> idempotency.Answer:
    key, text = services.create_key(user, row, name)
    return idempotency.Answer(201, {"id": key.pk}, secret={"key": text})
