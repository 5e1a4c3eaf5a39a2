"""What a cloud comes near to: whom to look at, what its owner was told, and where the owner wants it to end."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from tenants.models.clouds import Cloud


class Limited(models.TextChoices):
    """What is limited and filled little by little."""

    TRAFFIC = "traffic"
    STORAGE = "storage"


class LimitMark(models.Model):
    """A cloud whose traffic or whose limit has changed since somebody looked. Set with the change, in its transaction."""

    cloud = models.OneToOneField(Cloud, on_delete=models.CASCADE, primary_key=True, related_name="+")


class LimitNotice(models.Model):
    """That a cloud has reached `percent` of what it may, and that its owner is told. One row for each threshold.

    since: the month (its first instant, UTC) in which it was told last. used_bytes, limit_bytes: as they were then.
    ended_at: when it was below again; None while it counts. mail_at: when the mail is due; None when there is none to send.
    """

    cloud = models.ForeignKey(Cloud, on_delete=models.CASCADE, related_name="limit_notices", db_index=False)
    what = models.CharField(max_length=10, choices=Limited.choices)
    percent = models.PositiveSmallIntegerField()
    since = models.DateTimeField()
    used_bytes = models.BigIntegerField()
    limit_bytes = models.BigIntegerField()
    told_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    mail_at = models.DateTimeField(null=True, blank=True)
    mail_tries = models.PositiveSmallIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["cloud", "what", "percent"], name="notice_once"),
        ]
        indexes: ClassVar = [
            # The sweep: mails that are to be sent.
            models.Index(fields=["mail_at"], name="notice_mail", condition=Q(mail_at__isnull=False)),
            # The first look of a month, and the operator's list: those that count.
            models.Index(fields=["what", "percent", "since"], name="notice_counts", condition=Q(ended_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.cloud_id} {self.what} {self.percent} %"


class TrafficCap(models.Model):
    """Its owner wants the apps to sleep when the month's traffic is used up. most_bytes: before the plan's figure."""

    cloud = models.OneToOneField(Cloud, on_delete=models.CASCADE, primary_key=True, related_name="traffic_cap")
    most_bytes = models.BigIntegerField(null=True, blank=True)
