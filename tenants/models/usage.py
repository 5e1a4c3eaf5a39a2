"""What was used: counters as last read, and what they grew by, added up by hour and by month."""

from django.db import models

from tenants.models.clouds import Cloud

BUILDS, DATA = "builds", "data"  # subjects that are not an instance's id


class MeterReading(models.Model):
    """A counter as it was last read. source: who counts, from which start on; the rest as in `metering.Reading`."""

    source = models.CharField(primary_key=True, max_length=300)
    at = models.DateTimeField(db_index=True)
    cpu_us = models.BigIntegerField(default=0)
    requests = models.BigIntegerField(default=0)
    bytes_in = models.BigIntegerField(default=0)
    bytes_out = models.BigIntegerField(default=0)


class _Usage(models.Model):
    """subject: an instance's id, "data" or "builds". cpu_us: microseconds. …_byte_s: bytes times seconds."""

    cloud = models.ForeignKey(Cloud, on_delete=models.CASCADE, related_name="+", db_index=False)
    subject = models.CharField(max_length=40)
    cpu_us = models.BigIntegerField(default=0)
    memory_byte_s = models.BigIntegerField(default=0)
    storage_byte_s = models.BigIntegerField(default=0)
    requests = models.BigIntegerField(default=0)
    bytes_in = models.BigIntegerField(default=0)
    bytes_out = models.BigIntegerField(default=0)

    class Meta:
        abstract = True


class UsageHour(_Usage):
    """since: the hour's beginning. Noticed in that hour, used in it or shortly before, at most five minutes."""

    pk = models.CompositePrimaryKey("cloud", "since", "subject")
    since = models.DateTimeField()


class UsageMonth(_Usage):
    """since: the month's first instant, UTC. Always the sum of its hours, which go sooner."""

    pk = models.CompositePrimaryKey("cloud", "since", "subject")
    since = models.DateTimeField()


class UsageEvent(models.TextChoices):
    WAKE = "wake"
    BUILD = "build"
    RUN = "run"


class UsageCount(models.Model):
    """How often something happened in a month, counted in the transaction in which it does."""

    pk = models.CompositePrimaryKey("cloud", "since", "subject", "what")
    cloud = models.ForeignKey(Cloud, on_delete=models.CASCADE, related_name="+", db_index=False)
    since = models.DateTimeField()
    subject = models.CharField(max_length=40)
    what = models.CharField(max_length=10, choices=UsageEvent.choices)
    count = models.BigIntegerField(default=0)
