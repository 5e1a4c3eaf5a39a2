"""A collection on its way out of a cloud, or into one. The bytes are the data server's; rows say what is known of them."""

from typing import ClassVar

from django.db import models
from django.utils import timezone

from apps_catalog.identifiers import new_id
from tenants.models.data import Collection
from tenants.models.operations import Operation


def new_export_id() -> str:
    return new_id("exp")


def new_import_id() -> str:
    return new_id("imp")


class Export(models.Model):
    """remote: what the data server calls it, "" before it made it. sha256: of the zip, "" until it was read once.

    ended_at: it cannot be fetched any more: a newer one came, or the data server let it go.
    """

    id = models.CharField(primary_key=True, max_length=40, default=new_export_id, editable=False)
    collection = models.ForeignKey(Collection, on_delete=models.CASCADE, related_name="exports")
    operation = models.OneToOneField(Operation, on_delete=models.CASCADE, related_name="export")
    remote = models.CharField(max_length=80, blank=True)
    size_bytes = models.PositiveBigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)
    made_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["-created_at"]

    def __str__(self) -> str:
        return self.pk


class Import(models.Model):
    """staged: what the data server calls the archive that lies beside the collection.

    preview: what it holds (reconcile.transfers.seen), None while it still comes in parts or is being looked at.
    size_bytes, fingerprint: of one that comes in parts; whoever begins one of the same fingerprint again goes on with it.
    looking: the operation that unpacks what came in parts. operation: the one that imports, None while it was only looked
    at. touched_at: when something of it came last. report: `{items, files, skipped, replaced}` once it is in.
    """

    id = models.CharField(primary_key=True, max_length=40, default=new_import_id, editable=False)
    collection = models.ForeignKey(Collection, on_delete=models.CASCADE, related_name="imports")
    operation = models.OneToOneField(
        Operation, on_delete=models.CASCADE, null=True, blank=True, related_name="data_import"
    )
    looking = models.OneToOneField(
        Operation, on_delete=models.SET_NULL, null=True, blank=True, related_name="looked_at"
    )
    staged = models.CharField(max_length=40)
    size_bytes = models.PositiveBigIntegerField(default=0)
    fingerprint = models.CharField(max_length=200, blank=True)
    conflicts = models.CharField(max_length=10, blank=True)
    preview = models.JSONField(null=True, blank=True)
    report = models.JSONField(null=True, blank=True)
    touched_at = models.DateTimeField(default=timezone.now)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["-created_at"]
        indexes: ClassVar = [
            # The tidying: archives that were looked at and not taken.
            models.Index(
                fields=["touched_at"], name="import_only_looked_at", condition=models.Q(operation__isnull=True)
            ),
        ]

    def __str__(self) -> str:
        return self.pk
