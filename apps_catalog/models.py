"""Apps, their immutable revisions, and the releases that people may install."""

from typing import Any, ClassVar

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector
from django.db import models

from apps_catalog.identifiers import new_id


def new_app_id() -> str:
    return new_id("app")


def new_revision_id() -> str:
    return new_id("rev")


def new_release_id() -> str:
    return new_id("rel")


def new_report_id() -> str:
    return new_id("rpt")


class Category(models.TextChoices):
    """What the catalog can be narrowed to; Discovery.md names one as `category`."""

    PRODUCTIVITY = "productivity", "Productivity"
    NOTES = "notes", "Writing"
    MEDIA = "media", "Pictures, music, film"
    HOME = "home", "Home and money"
    PEOPLE = "people", "People and talk"
    READING = "reading", "Reading and links"
    GAMES = "games", "Games"
    DEVELOPERS = "developers", "For developers"
    OTHER = "other", "Other"


class App(models.Model):
    """A developer's project. The slug is its address in the catalog and never changes.

    Catalog columns (title … icon) are those of the newest listed release, or of the newest one while none is listed.
    media: `{"kind": "image", "digest"}` or `{"kind": "video", "url"}`, at most five, in the order they are shown.
    installs counts clouds that ever had a copy, the developer's own test copy not among them.
    unmaintained_at: its developer left or said so; it stays installable. deleted_at: gone for everybody, kept because
    its revisions may still be named by what was removed.
    """

    id = models.CharField(primary_key=True, max_length=40, default=new_app_id, editable=False)
    slug = models.SlugField(max_length=60, unique=True)
    name = models.CharField(max_length=60)
    developer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="apps")
    title = models.CharField(max_length=45, blank=True)
    tagline = models.CharField(max_length=69, blank=True)
    description_html = models.TextField(blank=True)
    theme_color = models.CharField(max_length=9, blank=True)
    homepage = models.CharField(max_length=300, blank=True)
    git = models.CharField(max_length=300, blank=True)
    icon = models.CharField(max_length=80, blank=True, help_text="Digest of the icon in the store, empty: none.")
    media: "models.JSONField[list[dict[str, str]], list[dict[str, str]]]" = models.JSONField(default=list, blank=True)
    listed = models.BooleanField(default=False)
    category = models.CharField(max_length=20, blank=True, choices=Category.choices)
    unmaintained_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)
    installs = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    released_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["-installs"], name="app_popular", condition=models.Q(listed=True)),
            models.Index(fields=["-released_at"], name="app_recent", condition=models.Q(listed=True)),
            # The catalog narrowed to a category.
            models.Index(fields=["category", "-installs"], name="app_category", condition=models.Q(listed=True)),
            GinIndex(
                SearchVector("name", "title", "tagline", "slug", config="simple"),
                name="app_search",
                condition=models.Q(listed=True),
            ),
        ]

    def __str__(self) -> str:
        return self.slug


class Placement(models.TextChoices):
    """Whether a revision has come into its developer's own copy of the app."""

    NOT_WANTED = ""
    DUE = "due"
    DONE = "done"
    OVERTAKEN = "overtaken", "overtaken by a newer one"
    REFUSED = "refused"


class Revision(models.Model):
    """An uploaded bundle and, once built, its artifact. Nothing of that changes after it is ready or failed.

    placement: how it stands with the builder instance; placed_by is the id of the operation, placement_note why not.

    spacefile: the parsed Spacefile as JSON. manifest: what the builder made of it (how to start each micro).
    source and digest are "sha256:<hex>" names in the store.
    """

    id = models.CharField(primary_key=True, max_length=40, default=new_revision_id, editable=False)
    app = models.ForeignKey(App, on_delete=models.CASCADE, related_name="revisions")
    tag = models.CharField(max_length=40)
    state = models.CharField(max_length=12, default="queued")
    state_reason = models.TextField(blank=True)
    log_tail = models.TextField(blank=True, help_text="The build's last lines, where it failed.")
    source = models.CharField(max_length=80)
    source_bytes = models.PositiveBigIntegerField()
    spacefile: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField()
    manifest = models.JSONField(null=True)
    digest = models.CharField(max_length=80, blank=True)
    size_bytes = models.PositiveBigIntegerField(default=0)
    as_of = models.DateTimeField(null=True, blank=True)
    placement = models.CharField(max_length=12, blank=True, choices=Placement.choices)
    placement_note = models.TextField(blank=True)
    placed_by = models.CharField(max_length=40, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["-created_at"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["app", "tag"], name="revision_tag_once")]
        # The sweep: what is built and still to come into its developer's own copy.
        indexes: ClassVar = [
            models.Index(fields=["state"], name="revision_to_place", condition=models.Q(placement="due"))
        ]

    def __str__(self) -> str:
        return self.tag


class Channel(models.TextChoices):
    STABLE = "stable"
    BETA = "beta"


class Review(models.TextChoices):
    """Where an operator looks at apps before they are listed."""

    NOT_NEEDED = ""
    PENDING = "pending", "waiting for the operator"
    APPROVED = "approved"
    REFUSED = "refused"


class Release(models.Model):
    """A revision that others may install. notes: Markdown. page: what the catalog says while this release is shown.

    yanked_at: withdrawn by its developer: not offered to anybody, kept by those who have it.
    listed: in the catalog now. While an operator has not agreed (`review`) a release that is to be listed is not.
    """

    id = models.CharField(primary_key=True, max_length=40, default=new_release_id, editable=False)
    app = models.ForeignKey(App, on_delete=models.CASCADE, related_name="releases")
    revision = models.ForeignKey(Revision, on_delete=models.PROTECT, related_name="releases")
    version = models.CharField(max_length=40)
    notes = models.TextField(blank=True)
    channel = models.CharField(max_length=10, choices=Channel.choices, default=Channel.STABLE)
    listed = models.BooleanField(default=False)
    review = models.CharField(max_length=10, blank=True, choices=Review.choices)
    review_note = models.TextField(blank=True)
    page: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(default=dict)
    yanked_at = models.DateTimeField(null=True, blank=True)
    yank_reason = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["-created_at"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["app", "version"], name="release_version_once")]

    def __str__(self) -> str:
        return f"{self.app_id} {self.version}"


class Concern(models.TextChoices):
    """What somebody may report about an app."""

    HARMFUL = "harmful", "It does harm: steals, spies, attacks"
    DECEPTIVE = "deceptive", "It is not what it says it is"
    BROKEN = "broken", "It does not work at all"
    RIGHTS = "rights", "It uses what is not its developer’s"
    OTHER = "other", "Something else"


class AppReport(models.Model):
    """What somebody told the operator about an app. One of a person and app at a time waits for an answer."""

    id = models.CharField(primary_key=True, max_length=40, default=new_report_id, editable=False)
    app = models.ForeignKey(App, on_delete=models.CASCADE, related_name="reports")
    reporter = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    concern = models.CharField(max_length=12, choices=Concern.choices)
    text = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-created_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["app", "reporter"], name="report_open_once", condition=models.Q(closed_at__isnull=True)
            )
        ]
        # The operator's page: what waits for an answer.
        indexes: ClassVar = [
            models.Index(fields=["-created_at"], name="report_open", condition=models.Q(closed_at__isnull=True))
        ]

    def __str__(self) -> str:
        return f"{self.app_id} {self.concern}"
