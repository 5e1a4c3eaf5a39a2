"""Operations: one visible, resumable change each, in named steps. Events: what happened, append-only."""

from typing import Any, ClassVar

from django.conf import settings
from django.db import models

from apps_catalog.identifiers import new_id
from apps_catalog.models import Revision
from tenants.models.clouds import Cloud
from tenants.models.data import Collection
from tenants.models.instances import Instance
from tenants.states import WorkState


def new_operation_id() -> str:
    return new_id("opn")


class OperationKind(models.TextChoices):
    CREATE_CLOUD = "create_cloud"
    CLOSE_CLOUD = "close_cloud"
    REOPEN_CLOUD = "reopen_cloud"
    CHANGE_PLAN = "change_plan"
    INSTALL = "install"
    RESTART = "restart"
    UPDATE = "update"
    ROLLBACK = "rollback"
    SLEEP = "sleep"
    WAKE = "wake"
    REMOVE = "remove"
    BUILD = "build"
    EXPORT = "export"
    LOOK = "look"
    IMPORT = "import"
    WIPE = "wipe"


class Operation(models.Model):
    """attempts counts tries that met a temporary error; not_before is when the next one is due (backoff)."""

    id = models.CharField(primary_key=True, max_length=40, default=new_operation_id, editable=False)
    kind = models.CharField(max_length=20, choices=OperationKind.choices)
    cloud = models.ForeignKey(Cloud, on_delete=models.PROTECT, related_name="operations")
    instance = models.ForeignKey(Instance, on_delete=models.PROTECT, null=True, blank=True, related_name="operations")
    revision = models.ForeignKey(Revision, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    collection = models.ForeignKey(
        Collection, on_delete=models.SET_NULL, null=True, blank=True, related_name="operations"
    )
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True)
    # The generation of the instance (or cloud) that this operation waits for.
    generation = models.PositiveBigIntegerField(default=1)
    state = models.CharField(max_length=12, choices=WorkState.choices, default=WorkState.QUEUED)
    error = models.TextField(blank=True)
    attempts = models.PositiveIntegerField(default=0)
    not_before = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-created_at"]
        indexes: ClassVar = [
            models.Index(fields=["cloud", "-created_at"], name="operation_of_cloud"),
            # The sweep: operations that are not over.
            models.Index(
                fields=["not_before"],
                name="operation_open",
                condition=models.Q(state__in=[WorkState.QUEUED, WorkState.RUNNING]),
            ),
            # The operators' desk: what failed lately.
            models.Index(fields=["-created_at"], name="operation_failed", condition=models.Q(state=WorkState.FAILED)),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.id}"


class OperationStep(models.Model):
    """name is for programs (a slug), title for people, detail for what is being waited for or went wrong."""

    operation = models.ForeignKey(Operation, on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=40)
    title = models.CharField(max_length=120)
    state = models.CharField(max_length=12, choices=WorkState.choices, default=WorkState.QUEUED)
    detail = models.TextField(blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["operation", "position"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["operation", "position"], name="step_position_once")]

    def __str__(self) -> str:
        return self.name


class Event(models.Model):
    """Something happened to `subject` (an id). A trigger refuses to change or delete rows of this table."""

    at = models.DateTimeField(auto_now_add=True)
    cloud_id = models.CharField(max_length=40, blank=True)
    subject = models.CharField(max_length=40)
    kind = models.CharField(max_length=40)
    before = models.CharField(max_length=20, blank=True)
    after = models.CharField(max_length=20, blank=True)
    actor = models.CharField(max_length=40, blank=True)
    reason = models.TextField(blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["cloud_id", "-at"], name="event_of_cloud"),
            models.Index(fields=["subject", "-at"], name="event_of_subject"),
            # The operators' record: what somebody did, and what became of people.
            models.Index(fields=["actor", "-at"], name="event_by_actor", condition=~models.Q(actor="")),
            models.Index(fields=["-id"], name="event_of_people", condition=models.Q(kind="user")),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}: {self.before} → {self.after}"

    @classmethod
    def record(cls, row: Any, *, before: str, after: str, actor: str = "", reason: str = "") -> None:
        """Append what happened to a row that has a state; `cloud_id` is the row's own, or the row itself."""
        cloud_id = row.pk if isinstance(row, Cloud) else getattr(row, "cloud_id", "") or ""
        cls.objects.create(
            cloud_id=cloud_id,
            subject=str(row.pk)[:40],
            kind=row._meta.model_name or "",
            before=before,
            after=after,
            actor=actor,
            reason=reason[:2000],
        )
