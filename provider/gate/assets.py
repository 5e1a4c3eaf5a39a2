"""What makes an installed app installable once more, by a browser: its manifest and its icons. Pages are not rewritten.

`/__space/v0/assets/…` of an instance's host leads here, through the proxy alone (provider/gate/assets.cfg.template), which
has decided that whoever asks may enter. An app whose Spacefile says `auto_pwa: false` has none of it.
"""

import hmac
import json

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from apps_catalog import icons
from apps_catalog.pictures import InvalidPicture
from apps_catalog.store import Store
from provider.gate.asking import ASSETS
from tenants.models import Instance
from tenants.states import InstanceState

# What browsers ask for: iOS, then the two that a manifest needs. The former platform's address alone is the largest.
SIZES = (180, 192, 512)
_COLOUR, _PAPER = "#3b5bdb", "#ffffff"
_KEPT = "private, max-age=3600"


@require_safe
def manifest(request: HttpRequest, instance_id: str) -> HttpResponse:
    instance = _installable(request, instance_id)
    app = instance.app
    version = (app.icon or app.theme_color)[-12:].lstrip("#")
    sources = {size: f"{ASSETS}icon-pwa?size={size}&v={version}" for size in SIZES if size >= 192}
    shown = [{"src": src, "sizes": f"{n}x{n}", "type": "image/png"} for n, src in sources.items()]
    body = {
        "id": "/",
        "start_url": "/",
        "scope": "/",
        "name": app.title or app.name,
        "short_name": app.name,
        "description": app.tagline,
        "display": "standalone",
        "theme_color": app.theme_color or _COLOUR,
        "background_color": _PAPER,
        "icons": shown,
    }
    kept = {"Cache-Control": _KEPT}
    return HttpResponse(json.dumps(body, ensure_ascii=False), content_type="application/manifest+json", headers=kept)


@require_safe
def icon(request: HttpRequest, instance_id: str) -> HttpResponse:
    """?size=180, 192 or 512 (the default): a PNG of the app's icon, or of its first letter."""
    app = _installable(request, instance_id).app
    size = request.GET.get("size", str(SIZES[-1]))
    if size not in map(str, SIZES):
        raise Http404
    content = _drawn(app.icon, int(size)) or icons.lettered(
        app.title or app.name, app.theme_color or _COLOUR, int(size)
    )
    return HttpResponse(content, content_type="image/png", headers={"Cache-Control": _KEPT})


def _drawn(digest: str, size: int) -> bytes:
    """Empty where there is no icon, or none that can be read any more."""
    if not digest:
        return b""
    try:
        with Store(settings.STORE_DIR).open(digest) as file:
            return icons.scaled(file.read(), size)
    except (OSError, InvalidPicture, ValueError):
        return b""


def _installable(request: HttpRequest, instance_id: str) -> Instance:
    if not hmac.compare_digest(request.headers.get("X-Gate-Secret", "").encode(), settings.GATE_SECRET.encode()):
        raise Http404
    rows = Instance.objects.select_related("app", "revision").exclude(state=InstanceState.REMOVED)
    instance = get_object_or_404(rows, pk=instance_id)
    if not instance.revision.spacefile.get("auto_pwa", True):
        raise Http404
    return instance
