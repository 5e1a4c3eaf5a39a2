"""What the catalog shows of an app: the page of its newest listed release, or of its newest one while none is listed."""

from typing import Any

from django.conf import settings

from apps_catalog import discovery
from apps_catalog.discovery import Discovery
from apps_catalog.models import App, Release, Review
from tenants.errors import Refused
from tenants.models import User

ADDRESS_LIMIT = 300
COLUMNS = ("title", "tagline", "description_html", "theme_color", "homepage", "git", "category", "icon", "media")


def page_of(found: Discovery, icon: str, media: list[dict[str, Any]]) -> dict[str, Any]:
    """As a release keeps it. icon, media: as App has them. missing: what a listed release would need; empty for a page
    that nobody began to write (docs/decisions/0007)."""
    return {
        "name": found.app_name,
        "title": found.title,
        "tagline": found.tagline,
        "description_html": found.html,
        "theme_color": found.theme_color,
        "homepage": found.homepage[:ADDRESS_LIMIT],
        "git": found.git[:ADDRESS_LIMIT],
        "category": found.category,
        "icon": icon,
        "media": media,
        "missing": list(discovery.missing_for_listing(found)) if found != Discovery(app_name=found.app_name) else [],
    }


def require_listable(page: dict[str, Any]) -> None:
    """A page that somebody began to write must be whole before strangers see it. Raises Refused naming what it lacks."""
    missing = page.get("missing", [])
    if missing:
        raise Refused(
            "incomplete_listing",
            f"A listed release needs {', '.join(missing)} in Discovery.md (body: the description below the front matter).",
            field=missing[0],
            detail={"missing": missing},
        )


def review_for(actor: User) -> Review:
    """Whether an operator must look first; their own apps need nobody's look."""
    return Review.PENDING if settings.REVIEW_LISTINGS and not actor.is_staff else Review.NOT_NEEDED


def show(app: App) -> None:
    """Bring the app's row in line with its releases. In the transaction that changed one of them."""
    locked = App.objects.select_for_update(of=("self",), no_key=True).get(pk=app.pk)
    offered = Release.objects.filter(app=locked, yanked_at__isnull=True).order_by("-created_at")
    listed = offered.filter(listed=True).first()
    shown = listed or offered.first()
    locked.listed = listed is not None
    if shown is not None:
        locked.released_at = shown.created_at
        for column in COLUMNS:
            if column in shown.page:
                setattr(locked, column, shown.page[column])
        locked.name = shown.page.get("name") or locked.name
    locked.save()
