"""`/collections/<id>/bases/<name>/`: a person's items. What the pages of drives share with these stands here too."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from tenants import access
from tenants.data_server.documents import generate_key
from tenants.errors import Refused
from tenants.models import Collection
from tenants.services import items
from tenants.services.contents import Away, NotThere
from tenants.views.cells import can_change, table
from tenants.views.cells import cell as shown
from tenants.views.person import person, tell

View = Callable[..., HttpResponse]


def of_collection(view: View) -> View:
    """For its owner alone; where the data server cannot answer, a page that says so."""

    @wraps(view)
    def answer(request: HttpRequest, collection_id: str, **kwargs: Any) -> HttpResponse:
        row = access.collection_for(person(request), collection_id)
        try:
            return view(request, row, **kwargs)
        except NotThere as error:
            raise Http404(str(error)) from error
        except Refused as refusal:
            context = {"collection": row, "why": str(refusal)}
            return render(request, "tenants/data_away.html", context, status=refusal.status)
        except Away:
            return render(request, "tenants/data_away.html", {"collection": row}, status=503)

    return never_cache(login_required(answer))


@of_collection
@require_safe
def base(request: HttpRequest, row: Collection, base: str) -> HttpResponse:
    """`q`: a query. `last`: where the page begins. `sort`: `desc` for the last keys first. `edit`: cells can be changed."""
    given = request.GET
    asked = items.Asked(given.get("q", ""), given.get("last", ""), given.get("sort") == "desc")
    page = items.look(row, base, asked)
    edits, sort = "edit" in given, "desc" if asked.descending else ""
    context = {"collection": row, "page": page, "asked": asked, "table": table(page.items), "edits": edits}
    context["turn"] = link(q=asked.query, sort=sort, last=asked.last, edit="" if edits else "1")
    if page.last is not None:
        context["next"] = link(q=asked.query, sort=sort, last=page.last, edit="1" if edits else "")
    # htmx shows no answers that are errors.
    status = 422 if page.wrong and "HX-Request" not in request.headers else 200
    return render(request, "tenants/data_base.html", context, status=status)


@of_collection
@require_http_methods(["GET", "HEAD", "POST"])
def item(request: HttpRequest, row: Collection, base: str) -> HttpResponse:
    """`key`: which. GET shows it, POST puts what was written in its place."""
    key = _key(request.GET)
    context: dict[str, Any] = {"collection": row, "base": base, "key": key}
    if request.method == "POST":
        context["text"] = request.POST.get("item", "")
        try:
            items.change(row, base, key, context["text"])
            messages.success(request, "Saved.")
            return redirect(item_url(row, base, key))
        except NotThere:
            raise
        except Refused as refusal:
            context["wrong"] = str(refusal)
        return render(request, "tenants/data_item.html", context, status=422)
    context["text"] = items.written(items.get(row, base, key))
    return render(request, "tenants/data_item.html", context)


@of_collection
@require_http_methods(["GET", "HEAD", "POST"])
def cell(request: HttpRequest, row: Collection, base: str) -> HttpResponse:
    """`key`, `name`: one attribute of an item. GET gives its form (`show`: the cell as it is), POST changes it.

    For htmx only the table's cell, else a page.
    """
    key, name = _key(request.GET), request.GET.get("name", "")
    if not can_change(name):
        raise NotThere("no_attribute", "That attribute cannot be changed by itself.")
    context: dict[str, Any] = {"collection": row, "base": base, "key": key, "name": name, "kinds": items.KINDS}
    if request.method == "POST":
        context["kind"], context["text"] = request.POST.get("kind", ""), request.POST.get("value", "")
        try:
            found = items.set_value(row, base, key, name, context["kind"], context["text"])
        except NotThere:
            raise
        except Refused as refusal:
            context["wrong"] = str(refusal)
            return _cell(request, context, "form", status=422)
        return _cell(request, context | {"cell": shown(found, name)}, "done")
    found = items.get(row, base, key)
    if "show" in request.GET:
        return _cell(request, context | {"cell": shown(found, name)}, "done")
    context["kind"], context["text"] = items.typed(found, name)
    return _cell(request, context, "form")


def _cell(request: HttpRequest, context: dict[str, Any], what: str, status: int = 200) -> HttpResponse:
    if "HX-Request" in request.headers:
        template = "_data_cell" if what == "done" else "_data_cell_form"
        return render(request, f"tenants/{template}.html", context)  # htmx shows no answers that are errors
    if what == "done":
        if request.method == "POST":
            messages.success(request, "Saved.")
        return redirect(item_url(context["collection"], context["base"], context["key"]))
    return render(request, "tenants/data_cell.html", context, status=status)


@of_collection
@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HttpRequest, row: Collection, base: str) -> HttpResponse:
    """The key is chosen before anything is sent, so that sending twice makes one item."""
    context: dict[str, Any] = {"collection": row, "base": base}
    if request.method == "POST":
        context["text"] = request.POST.get("item", "")
        try:
            key = items.add(row, base, context["text"])
            messages.success(request, "Added.")
            return redirect(item_url(row, base, key))
        except NotThere:
            raise
        except Refused as refusal:
            context["wrong"] = str(refusal)
        return render(request, "tenants/data_item.html", context, status=422)
    items.known(row, base)
    context["text"] = items.written({"key": generate_key()})
    return render(request, "tenants/data_item.html", context)


@of_collection
@require_POST
def delete(request: HttpRequest, row: Collection, base: str) -> HttpResponse:
    try:
        items.delete(row, base, _key(request.POST))
        messages.success(request, "The item is deleted.")
    except NotThere:
        raise
    except Refused as refusal:
        tell(request, refusal)
    return redirect("console:base", row.pk, base)


def item_url(row: Collection, base: str, key: str) -> str:
    return reverse("console:base_item", args=[row.pk, base]) + link(key=key)


def link(**values: str) -> str:
    """The part of an address from its question mark on."""
    query = QueryDict(mutable=True)
    query.update({name: value for name, value in values.items() if value})
    return f"?{query.urlencode()}"


def _key(given: QueryDict) -> str:
    key = given.get("key")
    if not key:
        raise NotThere("no_item", "There is no item without a key.")
    return str(key)
