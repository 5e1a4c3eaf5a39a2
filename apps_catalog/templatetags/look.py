"""How things look in templates: drawn icons, icons of apps, amounts. No queries, no marking of people's text as safe."""

import re
from functools import cache, lru_cache
from hashlib import sha256
from urllib.parse import urlsplit

import nh3
from django import template
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from apps_catalog.models import App

register = template.Library()

# Our own drawings on a 24 × 24 grid, in strokes of the text's colour.
_DRAWINGS = {
    "open": "M14 4h6v6 M20 4l-9 9 M18 14v4a2 2 0 0 1-2 2H6a2 2 0 0 1-2-2V8a2 2 0 0 1 2-2h4",
    "restart": "M4 12a8 8 0 0 1 14-5.3L20 9 M20 4v5h-5 M20 12a8 8 0 0 1-14 5.3L4 15 M4 20v-5h5",
    "remove": "M5 7h14 M10 7V4h4v3 M7 7l1 13h8l1-13 M10.5 11v5.5 M13.5 11v5.5",
    "search": "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13z M15.3 15.3 20 20",
    "check": "M5 12.5 10 17.5 19 7",
    "cross": "M6 6l12 12 M18 6 6 18",
    "plus": "M12 5v14 M5 12h14",
    "shield": "M12 3.5 19 6v5.5c0 4.4-3 7.6-7 9-4-1.4-7-4.6-7-9V6z M9 12l2.2 2.2L15 10",
    "cloud": "M7.5 18.5a4 4 0 0 1-.4-8 5.5 5.5 0 0 1 10.6 1.2 3.4 3.4 0 0 1-.4 6.8z",
    "key": "M8 12a4 4 0 1 1 0 6.01A4 4 0 0 1 8 12z M11 12.5 19.5 4 M16.5 7l2.5 2.5 M14 9.5l1.8 1.8",
    "tiles": "M4 4h6.5v6.5H4z M13.5 4H20v6.5h-6.5z M4 13.5h6.5V20H4z M16.75 13.5v6.5 M13.5 16.75H20",
    "code": "M8.5 7 3.5 12l5 5 M15.5 7l5 5-5 5",
    "mail": "M4 6h16v12H4z M4 7l8 6 8-6",
    "download": "M12 4v11 M7.5 10.5 12 15l4.5-4.5 M5 20h14",
}
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


@register.simple_tag
@cache  # as many as there are drawings
def icon(name: str) -> SafeString:
    """One of our drawings; hidden from screen readers, since words stand beside it."""
    return format_html(
        '<svg viewBox="0 0 24 24" width="20" height="20" fill="none" stroke="currentColor" stroke-width="1.8"'
        ' stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d="{}"/></svg>',
        _DRAWINGS[name],
    )


@register.simple_tag
def logo() -> SafeString:
    return mark_safe(  # noqa: S308 - a constant
        '<svg class="mark" viewBox="0 0 32 32" width="30" height="30" aria-hidden="true">'
        '<rect class="mark-ground" width="32" height="32" rx="8.5"/>'
        '<path class="mark-house" fill-rule="evenodd" d="M16 5.6 26.4 14v10.6a1.8 1.8 0 0 1-1.8 1.8H7.4'
        'a1.8 1.8 0 0 1-1.8-1.8V14zm0 8.6a3.1 3.1 0 0 0-1.7 5.7l-1 4h5.4l-1-4a3.1 3.1 0 0 0-1.7-5.7z"/></svg>'
    )


@register.simple_tag
def app_icon(app: App, size: str = "") -> SafeString:
    """The app's icon; where it has none, its first letter on its theme colour, or on a colour that its slug chooses.

    size: "", "small" or "large".
    """
    return _drawn_icon(app.slug, app.icon, app.title or app.name or app.slug, app.theme_color, size)


@register.simple_tag
def shots(app: App) -> list[dict[str, str]]:
    """The media of an app's page: `image`, its address, or `video`, a link, with `host` for its words."""
    found = []
    for number, item in enumerate(app.media, 1):
        if item["kind"] == "video":
            found.append({"video": item["url"], "host": urlsplit(item["url"]).hostname or ""})
        else:
            address = reverse("console:app_media", args=[app.slug, number])
            found.append({"image": f"{address}?v={item['digest'][-12:]}", "number": str(number)})
    return found


@lru_cache(maxsize=1024)  # of thirty copies in a list many are of the same app
def _drawn_icon(slug: str, icon: str, title: str, colour: str, size: str) -> SafeString:
    if not icon:
        return letter_icon(title, colour, size)
    address = f"{row_url('app_icon', slug)}?v={icon[-12:]}"
    return format_html('<img class="app-icon {}" src="{}" width="52" height="52" alt="">', size, address)


@register.simple_tag
@lru_cache(maxsize=4096)
def row_url(page: str, key: str) -> str:
    """The address of a row's page, remembered: a list of thirty would spend a tenth of its time on `url`."""
    return reverse(f"console:{page}", args=[key])


@register.simple_tag
def letter_icon(title: str, colour: str = "", size: str = "") -> SafeString:
    hue = sha256(title.encode()).digest()[0] % 8
    # White letters must stay readable, so a pale colour of the developer's is not used.
    fill = format_html('fill="{}"', colour) if _is_dark(colour) else format_html('class="hue-{}"', hue)
    return format_html(
        '<svg class="app-icon {}" viewBox="0 0 64 64" width="52" height="52" aria-hidden="true">'
        '<rect width="64" height="64" {}/>'
        '<text x="32" y="43" text-anchor="middle">{}</text></svg>',
        size,
        fill,
        title[:1].upper(),
    )


def _is_dark(colour: str) -> bool:
    if not _COLOUR.fullmatch(colour):
        return False
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue < 130


@register.filter
def mib(amount: int | None) -> str:
    """Mebibytes as people read them: “512 MiB”, “1.5 GiB”."""
    amount = amount or 0
    return f"{amount} MiB" if amount < 1024 else f"{amount / 1024:.4g} GiB"


@register.filter
def cpu(millis: int | None) -> str:
    """Thousandths of a core: “0.2 CPU”."""
    return f"{(millis or 0) / 1000:.4g} CPU"


@register.filter
def size(amount_bytes: int | None) -> str:
    amount = float(amount_bytes or 0)
    for unit in ("bytes", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.3g} {unit}" if unit != "bytes" else f"{int(amount)} bytes"
        amount /= 1024
    return f"{amount:.3g} GiB"


@register.filter
def tidy(html: str) -> SafeString:
    """A developer's description. It was cleaned when it was released; an old row must not become a hole."""
    return mark_safe(nh3.clean(html, link_rel="nofollow noopener noreferrer"))  # noqa: S308 - just cleaned
