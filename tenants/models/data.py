"""Data that belongs to a person: collections, keys to them, and the server of the cloud that holds them."""

from typing import ClassVar

from django.db import models

from apps_catalog.identifiers import new_id
from tenants.data_server.keys import new_project_id
from tenants.models.clouds import Cloud
from tenants.models.instances import Instance
from tenants.states import CollectionState, DataServerState


def new_collection_id() -> str:
    return new_id("col")


def new_data_key_id() -> str:
    return new_id("dky")


def new_data_server_id() -> str:
    return new_id("dat")


class DataServer(models.Model):
    """The one process and volume of a cloud that hold all its collections. The id is the instance's in the cluster.

    generation grows with every change of what it must know: collections, keys, instances, the quota.
    Observed: observed_generation, program (digest of what runs), state, state_reason, upstream ("address:port" or "").
    awake: whether it is wanted to run; used_at: the last request from outside of apps, or work of the provider's own.
    retry_at: when it is tried again after it failed.
    disk_bytes: of the volume, as it was measured last; less than limit_bytes where it did not grow with the plan.
    needed_until: it is up in a cloud that is suspended or closing, for the provider alone, so that its owner may leave with
    everything; None where it is not.
    """

    id = models.CharField(primary_key=True, max_length=40, default=new_data_server_id, editable=False)
    cloud = models.OneToOneField(Cloud, on_delete=models.PROTECT, related_name="data_server")
    generation = models.PositiveBigIntegerField(default=1)
    observed_generation = models.PositiveBigIntegerField(default=0)
    awake = models.BooleanField(default=True)
    used_at = models.DateTimeField(null=True, blank=True)
    program = models.CharField(max_length=80, blank=True)
    state = models.CharField(max_length=20, choices=DataServerState.choices, default=DataServerState.STARTING)
    state_reason = models.TextField(blank=True)
    upstream = models.CharField(max_length=64, blank=True)
    retry_at = models.DateTimeField(null=True, blank=True)
    needed_until = models.DateTimeField(null=True, blank=True)
    used_bytes = models.PositiveBigIntegerField(default=0)
    limit_bytes = models.PositiveBigIntegerField(default=0)
    disk_bytes = models.PositiveBigIntegerField(default=0)
    measured_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes: ClassVar = [
            # The sweep: servers that lag behind what is wanted.
            models.Index(
                fields=["state"],
                name="data_server_unsettled",
                condition=models.Q(observed_generation__lt=models.F("generation")),
            ),
            # The measuring: those that were not looked at for longest.
            models.Index(fields=["measured_at"], name="data_server_measured"),
        ]

    def __str__(self) -> str:
        return self.pk


class Collection(models.Model):
    """Any number of bases and drives. Of an instance, or free-standing: kept after a removal, or made by hand.

    project_id: what SDKs call it, the part of its keys before the underscore. key_sha256: of the key that the instance's
    micros get, which is itself derived when needed; key_version ends it. generation: of the data server, the first that
    knows of this collection and its instance as they are.
    """

    id = models.CharField(primary_key=True, max_length=40, default=new_collection_id, editable=False)
    cloud = models.ForeignKey(Cloud, on_delete=models.PROTECT, related_name="collections")
    project_id = models.CharField(max_length=40, unique=True, default=new_project_id, editable=False)
    name = models.CharField(max_length=60)
    instance = models.OneToOneField(
        Instance, on_delete=models.PROTECT, null=True, blank=True, related_name="collection"
    )
    key_version = models.PositiveIntegerField(default=1)
    key_sha256 = models.CharField(max_length=64, blank=True)
    state = models.CharField(max_length=20, choices=CollectionState.choices, default=CollectionState.ACTIVE)
    generation = models.PositiveBigIntegerField(default=1)
    size_bytes = models.PositiveBigIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        # A cloud's collections, newest first.
        indexes: ClassVar = [models.Index(fields=["cloud", "-created_at"], name="collection_of_cloud")]

    def __str__(self) -> str:
        return self.name


class DataKey(models.Model):
    """A key that somebody made for a collection; shown once, only its SHA-256 is kept.

    generation: of the data server, the first that knows it. last_used_at: within a minute or two; None before the first use.
    """

    id = models.CharField(primary_key=True, max_length=40, default=new_data_key_id, editable=False)
    collection = models.ForeignKey(Collection, on_delete=models.CASCADE, related_name="keys")
    name = models.CharField(max_length=60)
    prefix = models.CharField(max_length=60)
    sha256 = models.CharField(max_length=64, unique=True)
    generation = models.PositiveBigIntegerField()
    last_used_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["-created_at"]

    def __str__(self) -> str:
        return self.name
