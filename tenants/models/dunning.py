"""What holds a cloud, and the course that a plan takes which is not paid for."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from tenants.models.clouds import Cloud
from tenants.states import ArrearsState, CloudState


class HoldCause(models.TextChoices):
    OPERATOR = "operator"
    PAYMENT = "payment"
    TRAFFIC = "traffic"


class CloudHold(models.Model):
    """Why the apps of a cloud do not run: each cause holds it by itself, and it is free when the last one is gone.

    level: asleep (its owner reads and exports the data) or suspended (exports it). reason: a sentence for its owner.
    """

    LEVELS = (CloudState.ASLEEP, CloudState.SUSPENDED)  # the harder later

    cloud = models.ForeignKey(Cloud, on_delete=models.CASCADE, related_name="holds", db_index=False)
    cause = models.CharField(max_length=10, choices=HoldCause.choices)
    level = models.CharField(max_length=10, choices=[(level.value, level.label) for level in LEVELS])
    reason = models.TextField()
    since = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["cloud", "cause"], name="hold_once")]

    def __str__(self) -> str:
        return f"{self.cloud_id} {self.cause} {self.level}"


class Arrears(models.Model):
    """A plan that was not paid for, from the first notice to the payment or the end. One open per cloud.

    next_at: when the next state begins, if nothing is paid until then; None where none follows. Never earlier than the
    mail said that told the date: each state lasts its whole time, however late we come to it.
    """

    cloud = models.ForeignKey(Cloud, on_delete=models.CASCADE, related_name="arrears")
    state = models.CharField(max_length=12, choices=ArrearsState.choices, default=ArrearsState.PAST_DUE)
    began_at = models.DateTimeField()
    since = models.DateTimeField()
    next_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["cloud"], name="arrears_once", condition=Q(ended_at__isnull=True)),
        ]
        indexes: ClassVar = [
            models.Index(fields=["next_at"], name="arrears_due", condition=Q(ended_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.cloud_id} {self.state}"


class ArrearsMail(models.Model):
    """A notice: written with the change that it tells of, and sent until it got through. Each once.

    what: the state that began, or that state and "-soon" for the reminder. date: the one that it names.
    mail_at: when it is to be tried; None once it was sent, or given up.
    """

    arrears = models.ForeignKey(Arrears, on_delete=models.CASCADE, related_name="mails", db_index=False)
    what = models.CharField(max_length=20)
    date = models.DateTimeField(null=True, blank=True)
    told_at = models.DateTimeField()
    mail_at = models.DateTimeField(null=True, blank=True)
    mail_tries = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["arrears", "what"], name="arrears_mail_once")]
        indexes: ClassVar = [
            models.Index(fields=["mail_at"], name="arrears_mail_due", condition=Q(mail_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.arrears_id} {self.what}"
