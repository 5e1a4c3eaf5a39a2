"""`/apps/`: what can be installed; and apps' icons and screenshots."""

from urllib.parse import urlencode

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

from apps_catalog.models import App, Category
from apps_catalog.services import SORTS, listed_apps
from apps_catalog.spacefile import json_schema
from apps_catalog.store import Store

PAGE = 24
MOST_OF_ONE = 200
_LABELS = (("popular", "Popular"), ("recent", "Recent"), ("hot", "Hot"))
# Known by their first bytes; anything else that a developer may have called an icon is not served.
_IMAGES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif"}


@require_safe
def catalog(request: HttpRequest) -> HttpResponse:
    """The whole page, or only the results where htmx asks for them while somebody types."""
    q = request.GET.get("q", "").replace("\x00", "")[:100]
    sort = request.GET.get("sort", "")
    sort = sort if sort in SORTS else SORTS[0]
    number = request.GET.get("page", "1")
    page = min(int(number), 1000) if number.isascii() and number.isdecimal() and number != "0" else 1
    category = request.GET.get("category", "")
    category = category if category in Category.values else ""
    rows = list(listed_apps(q, sort, category=category)[(page - 1) * PAGE : page * PAGE + 1])
    more = {"q": q, "sort": sort, "category": category}
    context = {
        "apps": rows[:PAGE],
        "q": q,
        "sort": sort,
        "sorts": _LABELS,
        "category": category,
        "categories": Category.choices,
        "previous": urlencode({**more, "page": page - 1}) if page > 1 else "",
        "following": urlencode({**more, "page": page + 1}) if len(rows) > PAGE else "",
    }
    partial = request.headers.get("HX-Target") == "results"
    answer = render(request, "apps_catalog/_results.html" if partial else "apps_catalog/catalog.html", context)
    patch_vary_headers(answer, ["HX-Target"])
    return answer


@require_safe
def spacefile_schema(_request: HttpRequest) -> JsonResponse:
    """JSON Schema of the Spacefile, for editors."""
    return JsonResponse(json_schema(), headers={"Cache-Control": "public, max-age=3600"})


@require_safe
def developer(request: HttpRequest, handle: str) -> HttpResponse:
    """What somebody has released for everybody. Whoever listed nothing has no page."""
    apps = list(listed_apps(sort="recent", developer=handle)[:MOST_OF_ONE])
    if not apps:
        raise Http404
    return render(request, "apps_catalog/developer.html", {"handle": handle, "apps": apps})


@require_safe
def app_icon(request: HttpRequest, slug: str) -> HttpResponse:
    app = get_object_or_404(App.objects.only("icon"), slug=slug)
    return _picture(app.icon)


@require_safe
def app_media(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """A screenshot of the app's page, counted from 1 among all of its media."""
    app = get_object_or_404(App.objects.only("media"), slug=slug)
    if not 1 <= number <= len(app.media):
        raise Http404
    return _picture(app.media[number - 1].get("digest", ""))


def _picture(digest: str) -> HttpResponse:
    try:
        with Store(settings.STORE_DIR).open(digest) as file:
            content = file.read()
    except (FileNotFoundError, ValueError) as error:
        raise Http404 from error
    # Pages name a picture by its digest, so a changed one has another address.
    return HttpResponse(content, content_type=_type_of(content), headers={"Cache-Control": "public, max-age=31536000"})


def _type_of(content: bytes) -> str:
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    for start, kind in _IMAGES.items():
        if content.startswith(start):
            return kind
    raise Http404
