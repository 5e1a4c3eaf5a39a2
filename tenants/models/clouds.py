"""Cells, plans and clouds: where an account's things live and how much of it there may be."""

from dataclasses import dataclass
from typing import ClassVar

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models

from apps_catalog.identifiers import new_id
from tenants.states import CloudState


def new_cloud_id() -> str:
    return new_id("cld")


@dataclass(frozen=True)
class Quota:
    """Limits or use of a cloud. Thousandths of a core, mebibytes, count."""

    cpu_millis: int
    memory_mib: int
    storage_mib: int
    instances: int


QUOTA_FIELDS = ("cpu_millis", "memory_mib", "storage_mib", "instances")


class Installation(models.Model):
    """One row: which Freehold this is. Every object outside the database carries this id."""

    id = models.UUIDField(primary_key=True)
    created_at = models.DateTimeField(auto_now_add=True)


class Cell(models.Model):
    """One cluster with everything that faces it. Host names of instances belong to the cell's domain."""

    name = models.SlugField(primary_key=True)
    apps_domain = models.CharField(max_length=200)
    is_open = models.BooleanField(default=True, help_text="New clouds may be placed here.")

    def __str__(self) -> str:
        return self.name


class Plan(models.Model):
    slug = models.SlugField(primary_key=True)
    name = models.CharField(max_length=60)
    cpu_millis = models.PositiveIntegerField()
    memory_mib = models.PositiveIntegerField()
    storage_mib = models.PositiveIntegerField()
    instances = models.PositiveIntegerField()
    builds = models.PositiveIntegerField(default=2, help_text="Builds of one cloud that may run at the same time.")

    def __str__(self) -> str:
        return self.name


def _override(unit: str) -> "models.PositiveIntegerField[int | None, int | None]":
    return models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(0)], help_text=f"{unit}. Empty: as the plan says."
    )


class Cloud(models.Model):
    """One person's cloud. The namespace is generated once, stored, and never reused.

    generation grows with every change of what the cluster must know of the cloud; observed_generation follows it.
    retry_at: when the cluster, which could not or would not make it, is asked again; retries: how often it was.
    erase_at: while it is closing, the published date from which on everything in it is erased.
    """

    id = models.CharField(primary_key=True, max_length=40, default=new_cloud_id, editable=False)
    owner = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="cloud")
    cell = models.ForeignKey(Cell, on_delete=models.PROTECT)
    namespace = models.CharField(max_length=63, unique=True, editable=False)
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT)
    cpu_millis = _override("Thousandths of a core")
    memory_mib = _override("MiB")
    storage_mib = _override("MiB")
    instances_limit = _override("Instances")
    state = models.CharField(max_length=20, choices=CloudState.choices, default=CloudState.CREATING)
    state_reason = models.TextField(blank=True)
    generation = models.PositiveBigIntegerField(default=1)
    observed_generation = models.PositiveBigIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    retry_at = models.DateTimeField(null=True, blank=True)
    retries = models.PositiveSmallIntegerField(default=0)
    erase_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [
            # The sweep: clouds whose cluster side lags behind.
            models.Index(
                fields=["state"],
                name="cloud_unsettled",
                condition=models.Q(observed_generation__lt=models.F("generation")),
            ),
            # The sweep: clouds that the cluster refused, when it is time to ask again.
            models.Index(fields=["retry_at"], name="cloud_refused", condition=models.Q(retry_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.namespace

    @property
    def quota(self) -> Quota:
        """What the plan gives, except where an operator said otherwise."""
        return Quota(
            self.plan.cpu_millis if self.cpu_millis is None else self.cpu_millis,
            self.plan.memory_mib if self.memory_mib is None else self.memory_mib,
            self.plan.storage_mib if self.storage_mib is None else self.storage_mib,
            self.plan.instances if self.instances_limit is None else self.instances_limit,
        )
