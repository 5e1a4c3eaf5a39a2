"""What apps do by themselves, when it is due, and what became of it."""

from typing import ClassVar

from django.db import models

from apps_catalog.identifiers import new_id
from tenants.models.instances import Instance


def new_run_id() -> str:
    return new_id("run")


class Action(models.Model):
    """One scheduled action of an instance, as the version that runs declares it, with its owner's choices.

    key: what the Spacefile calls it; once in an app. micro: who does it. path: what is posted to, "" for the usual one.
    interval: the owner's, "" for the app's own. counted_from: what a rate counts from (apps_catalog.schedules).
    next_due: when it is due next, None while it is switched off. Only the claim of a run moves it on.
    """

    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, related_name="actions")
    key = models.CharField(max_length=100)
    micro = models.CharField(max_length=80)
    name = models.CharField(max_length=100)
    description = models.CharField(max_length=142, blank=True)
    path = models.TextField(blank=True)
    default_interval = models.TextField()
    interval = models.TextField(blank=True)
    is_on = models.BooleanField(default=True)
    counted_from = models.DateTimeField()
    next_due = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["pk"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["instance", "key"], name="action_key_once")]
        indexes: ClassVar = [
            # The beat's only question: what is due?
            models.Index(fields=["next_due"], name="action_due", condition=models.Q(next_due__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.key

    @property
    def chosen_interval(self) -> str:
        return self.interval or self.default_interval


class RunTrigger(models.TextChoices):
    SCHEDULE = "schedule"
    PERSON = "person"


class RunResult(models.TextChoices):
    """lost: whoever delivered it died meanwhile, so that nobody knows what the app did."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    LOST = "lost"


class ActionRun(models.Model):
    """One time that an action is done, or was. Open until `finished_at`; then `result` says how it ended.

    due_at: the due time that it is for; of those that a standstill missed, the first. sent_at: written before the
    request leaves, so whatever has none has certainly not reached the app; sent_via: the gate that got it.
    answer: the beginning of what the app said; error: why there is nothing, or nothing good, for people.
    duration_ms: with the time that waking took.
    """

    id = models.CharField(primary_key=True, max_length=40, default=new_run_id, editable=False)
    action = models.ForeignKey(Action, on_delete=models.CASCADE, related_name="runs")
    trigger = models.CharField(max_length=10, choices=RunTrigger.choices)
    due_at = models.DateTimeField()
    created_at = models.DateTimeField()
    sent_via = models.CharField(max_length=40, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    result = models.CharField(max_length=10, choices=RunResult.choices, blank=True)
    http_status = models.PositiveSmallIntegerField(null=True, blank=True)
    duration_ms = models.PositiveIntegerField(null=True, blank=True)
    answer = models.TextField(blank=True)
    error = models.TextField(blank=True)

    class Meta:
        ordering: ClassVar = ["-created_at", "-pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["action", "due_at"], name="run_once_per_due_time", condition=models.Q(trigger="schedule")
            ),
            # Never two at a time; also where the sweep finds those whose worker died.
            models.UniqueConstraint(
                fields=["action"], name="run_one_at_a_time", condition=models.Q(finished_at__isnull=True)
            ),
        ]
        indexes: ClassVar = [
            # The history of an action, newest first, and its trimming.
            models.Index(fields=["action", "-created_at"], name="run_history"),
        ]

    def __str__(self) -> str:
        return self.pk
