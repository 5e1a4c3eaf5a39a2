"""Use-cases of developers: projects, revisions, releases."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, BinaryIO

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.text import slugify

from apps_catalog import bundles, discovery, erasing
from apps_catalog.blueprint import blueprint_of, spacefile_of
from apps_catalog.discovery import Discovery, DiscoveryErrors
from apps_catalog.identifiers import random_letters
from apps_catalog.models import App, Channel, Placement, Release, Review, Revision
from apps_catalog.spacefile import Spacefile, SpacefileErrors, parse
from apps_catalog.store import Store
from tenants import access, metering, steps
from tenants.errors import Conflict, Refused
from tenants.live import announce
from tenants.models import BUILDS, Event, Operation, OperationKind, UsageEvent, User
from tenants.services import listing, pictures, quota
from tenants.services.images import require_runnable
from tenants.services.releases import check_notes
from tenants.states import RevisionState
from tenants.tasks import enqueue_build, enqueue_placement, enqueue_spread

MIB = 1024 * 1024
NAME_LIMIT = 60
SLUG_BITS_LETTERS = 8  # of 5 random bits each: a slug is the key to an unlisted app
BUILD_STEPS = (("check", "Check the bundle"), ("build", "Build it"), ("store", "Keep what was built"))


@dataclass(frozen=True)
class Upload:
    """A bundle that passed every check and is in the store."""

    source: str
    size_bytes: int
    spacefile: Spacefile


def store() -> Store:
    return Store(settings.STORE_DIR)


@transaction.atomic
def create_project(actor: User, name: str, *, slug: str | None = None) -> App:
    """A new app. Its slug is made once: the name and 40 random bits, unless `slug` (the provider's own apps) names it.

    Raises Refused naming the field.
    """
    name = name.strip()
    if not 1 <= len(name) <= NAME_LIMIT or not name.isprintable():
        raise Refused("invalid_name", f"A project's name has 1 to {NAME_LIMIT} printable characters.", field="name")
    return App.objects.create(name=name, slug=slug or _new_slug(name), developer=actor)


@transaction.atomic
def rename_project(actor: User, app: App, name: str) -> App:
    name = name.strip()
    if not 1 <= len(name) <= NAME_LIMIT or not name.isprintable():
        raise Refused("invalid_name", f"A project's name has 1 to {NAME_LIMIT} printable characters.", field="name")
    App.objects.filter(pk=app.pk).update(name=name)
    app.name = name
    return app


def accept_upload(file: BinaryIO) -> Upload:
    """Look through a bundle and keep it. No rows are written; the same content is kept once.

    Raises Refused: field bundle, Spacefile, icon or Discovery.md.
    """
    limits = bundles.BundleLimits(archive_bytes=settings.BUNDLE_LIMIT_MIB * MIB)
    try:
        index = bundles.check(file, limits)
    except bundles.BundleError as error:
        detail = {"limit": error.limit} if error.limit is not None else {}
        raise Refused("invalid_bundle", error.message, field=error.field, detail=detail) from error
    try:
        spacefile = parse(index.spacefile, files=index.names)
    except SpacefileErrors as error:
        problems = [_problem(problem) for problem in error.problems]
        raise Refused("invalid_spacefile", str(error), field="Spacefile", detail={"problems": problems}) from error
    if index.discovery is not None:
        _discovery(index.discovery)
    pictures.check_icon(file, spacefile)
    file.seek(0)
    source, size_bytes = store().put(file)
    return Upload(source, size_bytes, spacefile)


def upload_revision(actor: User, app: App, file: BinaryIO, as_of: datetime | None = None) -> tuple[Revision, Operation]:
    """Check, keep and set building a bundle, in the developer's own cloud. Content that was built before is not built
    again. Raises Refused naming the field, Conflict for a cloud that takes nothing."""
    return add_revision(actor, app, accept_upload(file), as_of)


@transaction.atomic
def add_revision(
    actor: User, app: App, upload: Upload, as_of: datetime | None = None, *, is_to_run: bool = True
) -> tuple[Revision, Operation]:
    """The rows of an accepted upload. Twice makes two revisions (the second reuses what the first built).

    is_to_run: into the developer's own copy as soon as it is built.
    """
    cloud = quota.lock(access.cloud_of(actor).pk)
    erasing.hold(upload.source)
    if not store().has(upload.source):
        raise Conflict("bundle_gone", "The same content was being erased just now. Upload it again.")
    built = Revision.objects.filter(app=app, source=upload.source, as_of=as_of, state=RevisionState.READY).first()
    revision = Revision(
        app=app,
        tag=_new_tag(app),
        source=upload.source,
        source_bytes=upload.size_bytes,
        spacefile=upload.spacefile.model_dump(mode="json", exclude_defaults=True),
        as_of=as_of,
        placement=Placement.DUE if is_to_run else Placement.NOT_WANTED,
    )
    if built is not None:
        revision.state, revision.manifest = RevisionState.READY, built.manifest
        revision.digest, revision.size_bytes = built.digest, built.size_bytes
    revision.save(force_insert=True)
    Event.record(revision, before="", after=revision.state, actor=actor.pk, reason="same content" if built else "")
    names = [name for name, _ in BUILD_STEPS]
    operation = steps.open_operation(
        OperationKind.BUILD,
        cloud,
        BUILD_STEPS,
        actor=actor,
        revision=revision,
        done=names if built is not None else ("check",),
    )
    if built is not None:
        steps.succeed(operation)
        if is_to_run:
            enqueue_placement(revision.pk)
    else:
        metering.count(cloud.pk, BUILDS, UsageEvent.BUILD)
        enqueue_build(revision.pk)
    announce(cloud.pk, revision.pk)
    return revision, operation


@transaction.atomic
def retry_revision(actor: User, app: App, revision: Revision) -> tuple[Revision, Operation]:
    """Build the content of a failed revision again, as a new one. Raises Conflict for one that did not fail."""
    if revision.app_id != app.pk or revision.state != RevisionState.FAILED:
        raise Conflict("revision_not_failed", "Only a failed revision can be built again.")
    upload = Upload(revision.source, revision.source_bytes, spacefile_of(revision))
    return add_revision(actor, app, upload, revision.as_of)


def publish_release(
    actor: User,
    app: App,
    *,
    revision_id: str,
    version: str | None = None,
    notes: str = "",
    channel: str = "stable",
    listed: bool = False,
    discovery_text: str | None = None,
    is_reviewed: bool = False,
) -> Release:
    """Let others install a revision. discovery_text: a Discovery.md that replaces the bundle's.

    Where an operator looks at apps first, a release that is to be listed waits for that unless `is_reviewed`.

    Raises Refused naming revision, version, notes, channel, media, or what the Discovery.md of a listed one lacks
    (app_name, tagline, body).
    """
    revision = Revision.objects.filter(app=app, pk=revision_id).first()
    if revision is None:
        raise Refused("unknown_revision", "The project has no such revision.", field="revision")
    if revision.state != RevisionState.READY:
        raise Refused("revision_not_ready", f"The revision is {revision.state}, not ready.", field="revision")
    require_runnable(blueprint_of(revision), settings.DEFAULT_CELL, "revision")
    if channel not in Channel.values:
        raise Refused("invalid_channel", f"Channels are {' and '.join(Channel.values)}.", field="channel")
    check_notes(notes)
    found = _written_discovery(revision, discovery_text) or Discovery(app_name=_app_name(revision))
    media = pictures.media_of(store(), revision, found)
    page = listing.page_of(found, pictures.icon_of(store(), revision), media)
    review = Review.NOT_NEEDED
    if listed:
        listing.require_listable(page)
        review = Review.NOT_NEEDED if is_reviewed else listing.review_for(actor)
    release = Release(
        app=app,
        revision=revision,
        version=_version(version),
        notes=notes,
        channel=channel,
        listed=listed and review != Review.PENDING,
        review=review,
        page=page,
    )
    with transaction.atomic():
        _insert(release)
        listing.show(app)
        Event.record(release, before="", after="listed" if release.listed else "unlisted", actor=actor.pk)
        enqueue_spread(app.pk)
    return release


def _new_slug(name: str) -> str:
    stem = slugify(name).replace("_", "-")[:40].strip("-") or "app"
    return f"{stem}-{random_letters(SLUG_BITS_LETTERS)}"


_ANIMALS = (
    "heron otter badger lynx finch marten plover newt wren stoat tern vole ibex gecko crane moth seal hare dove kite"
).split()


def _new_tag(app: App) -> str:
    """A name for people, as the former platform gave them: an animal and four letters; unique within the project."""
    while True:
        letters = random_letters(4)
        tag = f"{_ANIMALS[sum(map(ord, letters)) % len(_ANIMALS)]}-{letters}"
        if not Revision.objects.filter(app=app, tag=tag).exists():
            return tag


def _problem(problem: Any) -> dict[str, Any]:
    return {"message": problem.message, "key": problem.key, "micro": problem.micro, "line": problem.line}


def _discovery(text: bytes | str) -> Discovery:
    try:
        return discovery.parse(text)
    except DiscoveryErrors as error:
        problems = [_problem(problem) for problem in error.problems]
        raise Refused("invalid_discovery", str(error), field="Discovery.md", detail={"problems": problems}) from error


def _app_name(revision: Revision) -> str:
    """The Spacefile's, for projects whose Discovery.md does not say one; may be empty."""
    return str(revision.spacefile.get("app_name") or "")


def _written_discovery(revision: Revision, text: str | None) -> Discovery | None:
    """What was sent along, else the bundle's Discovery.md, else None."""
    content: str | bytes | None = text
    if content is None:
        with store().open(revision.source) as file:
            content = bundles.check(file).discovery
    if content is None:
        return None
    found = _discovery(content)
    return found if found.app_name else replace(found, app_name=_app_name(revision))


def _version(version: str | None) -> str:
    if version is None or not version.strip():
        return f"exp-{random_letters(4)}"
    version = version.strip()
    if len(version) > 40 or not version.isprintable():
        raise Refused("invalid_version", "A version has at most 40 printable characters.", field="version")
    return version


def _insert(release: Release) -> None:
    try:
        with transaction.atomic():
            release.save(force_insert=True)
    except IntegrityError as error:
        raise Refused("version_taken", f"There is a release {release.version} already.", field="version") from error
