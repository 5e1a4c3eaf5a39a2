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
    """since: the month's first instant, UTC. Always the sum of its hours, which go sooner.

    plan, plan_since: what the cloud had when it was read, and from when on, so that a month's use falls to its plans.
    """

    pk = models.CompositePrimaryKey("cloud", "since", "subject", "plan_since")
    since = models.DateTimeField()
    plan_since = models.DateTimeField()
    plan = models.CharField(max_length=40)


class PlanPeriod(models.Model):
    """From when on a cloud had which plan. A cloud that never changed has none: it has its plan since it was created."""

    pk = models.CompositePrimaryKey("cloud", "began_at")
    cloud = models.ForeignKey(Cloud, on_delete=models.CASCADE, related_name="plan_periods", db_index=False)
    began_at = models.DateTimeField()
    plan = models.CharField(max_length=40)


class ClosedMonth(models.Model):
    """Nothing is added to this month any more, nor to one before. until: its end; what comes late counts from there on."""

    since = models.DateTimeField(primary_key=True)
    until = models.DateTimeField()
    closed_at = models.DateTimeField(auto_now_add=True)


class StatementLine(_Usage):
    """What a closed month's statement says, one for each row of its `UsageMonth`; never changed. title: as it was called."""

    pk = models.CompositePrimaryKey("cloud", "since", "plan_since", "subject")
    since = models.DateTimeField()
    plan_since = models.DateTimeField()
    plan = models.CharField(max_length=40)
    plan_name = models.CharField(max_length=60)
    title = models.CharField(max_length=100)


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
