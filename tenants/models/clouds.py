"""Cells and clouds: where an account's things live."""

from typing import ClassVar

from django.conf import settings
from django.db import models

from apps_catalog.identifiers import new_id
from tenants.models.plans import Allowance, Override, Plan, Quota, overruled
from tenants.states import CloudState


def new_cloud_id() -> str:
    return new_id("cld")


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
            # The operators' desk: how many clouds a plan has, and those in a state.
            models.Index(fields=["plan", "state"], name="cloud_of_plan"),
            models.Index(fields=["state"], name="cloud_of_state", condition=~models.Q(state="active")),
            # The sweep: clouds that the cluster refused, when it is time to ask again.
            models.Index(fields=["retry_at"], name="cloud_refused", condition=models.Q(retry_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.namespace

    @property
    def allowance(self) -> Allowance:
        """What the plan gives, except where an operator said otherwise. One query, none where overrides are prefetched."""
        return overruled(self.plan.allowance, self._overrides())

    @property
    def quota(self) -> Quota:
        return self.allowance.quota

    def _overrides(self) -> "list[Override]":
        if "overrides" in getattr(self, "_prefetched_objects_cache", {}):
            return list(self.overrides.all())
        return list(self.overrides.filter(ended_at__isnull=True))
