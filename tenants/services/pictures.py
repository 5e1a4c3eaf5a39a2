"""The pictures of an app's page: out of the bundle, checked, written anew, kept in the store."""

import io
from typing import Any, BinaryIO

from apps_catalog import bundles, discovery, icons, screenshots
from apps_catalog.discovery import Discovery
from apps_catalog.models import Revision
from apps_catalog.pictures import InvalidPicture
from apps_catalog.spacefile import Spacefile
from apps_catalog.store import Store
from tenants.errors import Refused


def check_icon(file: BinaryIO, spacefile: Spacefile) -> None:
    """Raises Refused naming the field, before anything of the bundle is kept."""
    if not spacefile.icon:
        return
    try:
        icons.drawn(bundles.read_member(file, spacefile.icon, icons.MAX_BYTES))
    except (bundles.BundleError, InvalidPicture) as error:
        raise _refusal("icon", spacefile.icon, error) from error


def icon_of(store: Store, revision: Revision) -> str:
    """The icon's digest in the store; empty without a valid one (revisions from before icons were checked)."""
    path = revision.spacefile.get("icon")
    if not path:
        return ""
    try:
        with store.open(revision.source) as file:
            return icons.keep(store, bundles.read_member(file, path, icons.MAX_BYTES))
    except (bundles.BundleError, InvalidPicture):
        return ""


def media_of(store: Store, revision: Revision, found: Discovery) -> list[dict[str, Any]]:
    """`{"kind": "image", "digest"}` and `{"kind": "video", "url"}` in the order of Discovery.md.

    Nothing is kept unless all of it is good. Raises Refused naming the field, the file and the limit.
    """
    if not found.media:
        return []
    with store.open(revision.source) as file:
        names = bundles.check(file).names
        paths = screenshots.paths_of(found.media, frozenset(names))
        if len(paths) > discovery.MAX_MEDIA:
            limit = {"limit": discovery.MAX_MEDIA}
            raise Refused(
                "invalid_media", f"media: at most {discovery.MAX_MEDIA} entries.", field="media", detail=limit
            )
        drawn = [path if "://" in path else _screenshot(file, path) for path in paths]
    return [
        {"kind": "video", "url": item}
        if isinstance(item, str)
        else {"kind": "image", "digest": store.put(io.BytesIO(item))[0]}
        for item in drawn
    ]


def _screenshot(file: BinaryIO, path: str) -> bytes:
    try:
        return screenshots.drawn(bundles.read_member(file, path, screenshots.MAX_BYTES))
    except (bundles.BundleError, InvalidPicture) as error:
        raise _refusal("media", path, error) from error


def _refusal(field: str, path: str, error: bundles.BundleError | InvalidPicture) -> Refused:
    said = str(error) if isinstance(error, bundles.BundleError) else f"{path} {error}"
    detail = {"file": path} | ({"limit": error.limit} if error.limit is not None else {})
    return Refused(f"invalid_{field}", f"{field}: {said}.", field=field, detail=detail)
