"""Taking a developer's things out of the catalog and the store, but for what others have installed."""

import hashlib
from collections.abc import Iterable

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from apps_catalog.models import App, Placement, Release, Revision
from apps_catalog.store import Store


def files_of(developer_id: str, kept: Iterable[str]) -> list[str]:
    """Digests of sources, artifacts, icons and screenshots of their apps. kept: ids of revisions whose artifacts stay."""
    revisions = Revision.objects.filter(app__developer_id=developer_id)
    found = set(revisions.values_list("source", flat=True))
    found |= set(revisions.exclude(pk__in=kept).exclude(digest="").values_list("digest", flat=True))
    gone = App.objects.filter(developer_id=developer_id).exclude(revisions__in=list(kept))
    for icon, media in gone.values_list("icon", "media"):
        found |= _pictures(icon, media)
    for page in Release.objects.filter(app__in=gone).values_list("page", flat=True):
        found |= _pictures(page.get("icon"), page.get("media"))
    return sorted(found - set(revisions.filter(pk__in=kept).values_list("digest", flat=True)))


def _pictures(icon: str | None, media: list[dict[str, str]] | None) -> set[str]:
    return ({icon} if icon else set()) | {item["digest"] for item in media or () if "digest" in item}


def hold(digest: str) -> None:
    """Until the transaction ends nobody else may begin to use the content, or delete it: uploads hold it, see that the
    file is there and write their row; deletions hold it, see that there is no row and delete the file."""
    key = int.from_bytes(hashlib.sha256(f"store:{digest}".encode()).digest()[:8], "big", signed=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [key])


@transaction.atomic
def delete_file(store: Store, digest: str, developer_id: str) -> None:
    """Unless somebody else's revision has the same content. Gone already is success."""
    hold(digest)
    revisions = Revision.objects.exclude(app__developer_id=developer_id)
    shot = [{"digest": digest}]
    icons = App.objects.exclude(developer_id=developer_id).filter(Q(icon=digest) | Q(media__contains=shot))
    pages = Release.objects.exclude(app__developer_id=developer_id)
    pages = pages.filter(Q(page__icon=digest) | Q(page__media__contains=shot))
    if not (icons.exists() or pages.exists() or revisions.filter(Q(source=digest) | Q(digest=digest)).exists()):
        store.path(digest).unlink(missing_ok=True)


def withdraw(developer_id: str, kept: Iterable[str]) -> None:
    """Nothing of theirs can be found or installed any more. Copies that others have go on, and those people may make
    more of what they have; the rest is emptied."""
    apps = App.objects.filter(developer_id=developer_id)
    releases = Release.objects.filter(app__in=apps)
    releases.update(listed=False, notes="", page={}, review="", review_note="")
    gone = releases.exclude(revision__in=kept).filter(yanked_at__isnull=True)
    gone.update(yanked_at=timezone.now(), yank_reason="Its developer left.")
    emptied = {"log_tail": "", "source_bytes": 0, "placement": Placement.NOT_WANTED, "placement_note": ""}
    Revision.objects.filter(app__in=apps).update(**emptied)
    Revision.objects.filter(app__in=apps).exclude(pk__in=kept).update(spacefile={}, manifest=None)
    apps.update(listed=False, released_at=None)
    apps.filter(unmaintained_at__isnull=True).update(unmaintained_at=timezone.now())
    blank = {"title": "", "tagline": "", "description_html": "", "homepage": "", "git": "", "icon": "", "media": []}
    apps.exclude(revisions__in=list(kept)).update(name="Erased", **blank)
