"""Plans, what operators overrule of them, and what a cloud may have in the end."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import ClassVar

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.utils import timezone

from apps_catalog.identifiers import new_id

DAY_S = 24 * 3600
# Figure → (least, most). Far above any cloud, far below what columns, clusters and Stripe take (its amounts have 8 digits).
BOUNDS = {
    "cpu_millis": (0, 1_000_000),
    "memory_mib": (0, 16 * 1024 * 1024),
    "storage_mib": (0, 1024 * 1024 * 1024),
    "instances": (0, 10_000),
    "builds": (1, 100),
    "sleep_after_s": (60, 90 * DAY_S),
    "domains": (0, 1000),
    "backups_kept": (0, 1000),
    "traffic_bytes": (0, 10**15),
    "price_minor": (0, 99_999_999),
    "trial_days": (0, 365),
}
QUOTA_FIELDS = ("cpu_millis", "memory_mib", "storage_mib", "instances")
FIGURES = (*QUOTA_FIELDS, "builds", "sleep_after_s", "domains", "backups_kept", "traffic_bytes", "rate_class")
_SLUG = r"\A(?=.{1,40}\Z)[a-z0-9]+(-[a-z0-9]+)*\Z"
NEVER = 0  # in an override of sleep_after_s, where nothing means "as the plan says"


@dataclass(frozen=True)
class Quota:
    """Limits or use of a cloud. Thousandths of a core, mebibytes, count."""

    cpu_millis: int
    memory_mib: int
    storage_mib: int
    instances: int


@dataclass(frozen=True)
class Allowance:
    """All that a cloud may have: its plan, with what operators overruled.

    builds: at the same time. sleep_after_s: an app without requests sleeps after so long, unless its owner says something
    else of it; None: only if its owner wants that. backups_kept: of each collection. traffic_bytes: in a calendar month
    (UTC), None without limit.
    """

    quota: Quota
    builds: int
    sleep_after_s: int | None
    domains: int
    backups_kept: int
    traffic_bytes: int | None
    rate_class: str


class RateClass(models.TextChoices):
    """How many requests per second the gate lets pass to a host."""

    SMALL = "small"
    STANDARD = "standard"
    LARGE = "large"


class Interval(models.TextChoices):
    MONTH = "month"
    YEAR = "year"


def _within(figure: str) -> list[MinValueValidator | MaxValueValidator]:
    least, most = BOUNDS[figure]
    return [MinValueValidator(least), MaxValueValidator(most)]


class Plan(models.Model):
    """What is offered, for which price. price_minor is in the currency's smallest unit (cents), per interval; 0 is free.

    Archived ones are kept by whoever has them and chosen by nobody; invisible ones are chosen by operators alone.
    """

    slug = models.SlugField(
        primary_key=True, validators=[RegexValidator(_SLUG, "1 to 40 small letters a–z, digits, hyphens.")]
    )
    name = models.CharField(max_length=60)
    description = models.CharField(max_length=300, blank=True)
    price_minor = models.PositiveIntegerField(default=0, validators=_within("price_minor"))
    currency = models.CharField(
        max_length=3,
        default="eur",
        validators=[RegexValidator(r"\A[a-z]{3}\Z", "Three small letters, as in ISO 4217.")],
    )
    interval = models.CharField(max_length=5, choices=Interval.choices, default=Interval.MONTH)
    trial_days = models.PositiveIntegerField(default=0, validators=_within("trial_days"))
    cpu_millis = models.PositiveIntegerField(validators=_within("cpu_millis"), help_text="Thousandths of a core.")
    memory_mib = models.PositiveIntegerField(validators=_within("memory_mib"), help_text="MiB.")
    storage_mib = models.PositiveIntegerField(validators=_within("storage_mib"), help_text="MiB.")
    instances = models.PositiveIntegerField(validators=_within("instances"), help_text="Installed apps.")
    builds = models.PositiveIntegerField(
        default=2, validators=_within("builds"), help_text="Builds of one cloud that may run at the same time."
    )
    sleep_after_s = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=_within("sleep_after_s"),
        help_text="Seconds without requests after which an app sleeps, unless its owner chose. Empty: never by itself.",
    )
    domains = models.PositiveIntegerField(default=20, validators=_within("domains"), help_text="Domains of one's own.")
    backups_kept = models.PositiveIntegerField(
        default=7, validators=_within("backups_kept"), help_text="Backups that are kept of each collection."
    )
    traffic_bytes = models.PositiveBigIntegerField(
        null=True,
        blank=True,
        validators=_within("traffic_bytes"),
        help_text="Bytes out of its apps in a month. Empty: no limit.",
    )
    rate_class = models.CharField(max_length=10, choices=RateClass.choices, default=RateClass.STANDARD)
    is_visible = models.BooleanField(default=True, help_text="People may choose it.")
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering: ClassVar = ["price_minor", "slug"]

    def __str__(self) -> str:
        return self.name

    @property
    def allowance(self) -> Allowance:
        return Allowance(
            Quota(self.cpu_millis, self.memory_mib, self.storage_mib, self.instances),
            self.builds,
            self.sleep_after_s,
            self.domains,
            self.backups_kept,
            self.traffic_bytes,
            self.rate_class,
        )


def new_override_id() -> str:
    return new_id("ovr")


def _overruled(figure: str) -> "models.PositiveIntegerField[int | None, int | None]":
    return models.PositiveIntegerField(null=True, blank=True, validators=_within(figure))


class Override(models.Model):
    """What an operator gave a cloud, or took from it, beside its plan; empty figures are as the plan says.

    It counts until ends_at, or until an operator ends it: then ended_at is set, at the latest by the sweep that brings
    the cluster in line. The newest that names a figure has it. sleep_after_s 0: never.
    """

    id = models.CharField(primary_key=True, max_length=40, default=new_override_id, editable=False)
    cloud = models.ForeignKey("tenants.Cloud", on_delete=models.PROTECT, related_name="overrides")
    cpu_millis = _overruled("cpu_millis")
    memory_mib = _overruled("memory_mib")
    storage_mib = _overruled("storage_mib")
    instances = _overruled("instances")
    builds = _overruled("builds")
    sleep_after_s = models.PositiveIntegerField(null=True, blank=True)
    domains = _overruled("domains")
    backups_kept = _overruled("backups_kept")
    traffic_bytes = models.PositiveBigIntegerField(null=True, blank=True, validators=_within("traffic_bytes"))
    rate_class = models.CharField(max_length=10, choices=RateClass.choices, blank=True)
    reason = models.CharField(max_length=300)
    granted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["created_at", "id"]
        indexes: ClassVar = [
            # What a cloud may have: those that count.
            models.Index(fields=["cloud"], name="override_counts", condition=models.Q(ended_at__isnull=True)),
            # The sweep: those whose date has come.
            models.Index(fields=["ends_at"], name="override_ending", condition=models.Q(ended_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return self.id

    def counts(self, now: datetime) -> bool:
        return self.ended_at is None and (self.ends_at is None or self.ends_at > now)

    @property
    def counts_now(self) -> bool:
        return self.counts(timezone.now())

    @property
    def figures(self) -> dict[str, int | str]:
        """What it names."""
        named = {figure: getattr(self, figure) for figure in FIGURES}
        return {figure: value for figure, value in named.items() if value is not None and value != ""}

    @property
    def names_quota(self) -> bool:
        """Whether the cluster and the data server have to hear of it."""
        return any(getattr(self, figure) is not None for figure in QUOTA_FIELDS)


def overruled(plan: Allowance, overrides: Iterable[Override], now: datetime | None = None) -> Allowance:
    """`plan` with those of `overrides` (oldest first) that count at `now`."""
    now = now or timezone.now()
    named: dict[str, int | str | None] = {}
    for override in overrides:
        if override.counts(now):
            named.update(override.figures)
    if named.get("sleep_after_s") == NEVER:
        named["sleep_after_s"] = None
    in_quota = {figure: named.pop(figure) for figure in QUOTA_FIELDS if figure in named}
    return replace(plan, quota=Quota(**{**asdict(plan.quota), **in_quota}), **named)  # type: ignore[arg-type]
