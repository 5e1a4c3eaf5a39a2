"""Reading the catalog."""

from django.contrib.postgres.search import SearchQuery, SearchVector
from django.db.models import QuerySet

from apps_catalog.models import App, Channel, Release

SORTS = ("popular", "recent", "hot")
HOT_DAYS = 14
# The same expression as the index's, so that PostgreSQL uses it.
SEARCH = SearchVector("name", "title", "tagline", "slug", config="simple")


def listed_apps(q: str = "", sort: str = "popular", *, category: str = "", developer: str = "") -> QuerySet[App]:
    """Listed apps, ready to be sliced or paginated. q: words, each matched from its beginning. sort: one of SORTS.

    category: one of Category. developer: a handle. Raises ValueError for another sort.
    """
    apps = App.objects.filter(listed=True, deleted_at__isnull=True).select_related("developer")
    if category:
        apps = apps.filter(category=category)
    if developer:
        apps = apps.filter(developer__handle=developer)
    query = _prefixes(q)
    if q.strip():
        apps = apps.annotate(search=SEARCH).filter(search=query) if query else apps.none()
    if sort == "popular":
        return apps.order_by("-installs", "slug")
    if sort == "recent":
        return apps.order_by("-released_at", "slug")
    if sort == "hot":
        return _hot(apps)
    raise ValueError(f"Apps are sorted by {', '.join(SORTS)}.")


def app_by_slug(slug: str) -> App | None:
    """A released app, unlisted ones too: an unlisted slug carries enough random bits to be a secret."""
    return (
        App.objects.select_related("developer")
        .filter(slug=slug, released_at__isnull=False, deleted_at__isnull=True)
        .first()
    )


def releases_of(app: App) -> QuerySet[Release]:
    """Newest first."""
    return app.releases.select_related("revision").order_by("-created_at")


def newest_release(app: App, channel: Channel = Channel.STABLE) -> Release | None:
    """What an install without further wishes gets: stable is only stable, beta the newest of both.

    A listed app offers listed releases before unlisted ones. What its developer withdrew is offered to nobody.
    """
    releases = releases_of(app).filter(yanked_at__isnull=True)
    if channel == Channel.STABLE:
        releases = releases.filter(channel=Channel.STABLE)
    return releases.filter(listed=True).first() or releases.first()


def release_of(app: App, release_id: str | None, channel: Channel = Channel.STABLE) -> Release | None:
    """The named release of this app, or its newest one on the channel."""
    if release_id is not None:
        return releases_of(app).filter(pk=release_id, yanked_at__isnull=True).first()
    return newest_release(app, channel)


def _prefixes(q: str) -> SearchQuery | None:
    words = "".join(char if char.isalnum() else " " for char in q.lower()).split()[:8]
    if not words:
        return None
    return SearchQuery(" & ".join(f"{word}:*" for word in words), search_type="raw", config="simple")


def _hot(apps: QuerySet[App]) -> QuerySet[App]:
    """Most installed lately. Installs are instances, which this package does not know but by the relation's name."""
    from datetime import timedelta

    from django.db.models import Count, Q
    from django.utils import timezone

    lately = Q(instances__created_at__gte=timezone.now() - timedelta(days=HOT_DAYS))
    return apps.annotate(lately=Count("instances", filter=lately)).order_by("-lately", "-installs", "slug")
