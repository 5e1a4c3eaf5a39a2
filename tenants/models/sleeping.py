"""Falling asleep: what is on its way, and what the gates say to it."""

from typing import ClassVar

from django.db import models

from tenants.models.operations import Operation


class Gate(models.Model):
    """A proxy with its agent, which writes this row before it reads anything. One that stays silent is forgotten in time.

    Plain SQL of provider/gate/drains.py writes here and into DrainAnswer.
    """

    id = models.CharField(primary_key=True, max_length=120)
    cell_id = models.CharField(max_length=50)
    seen_at = models.DateTimeField()


class Drain(models.Model):
    """An instance, or a data server, that takes no new request by the gates' maps and will be stopped once none is open.

    While the row is there, whoever comes asks the provider, which deletes it and lets them through: nothing was stopped.
    subject: the instance's id, or the data server's. keys: what the gates count its requests under.
    idle_since: stays awake if it was used after that; None: its owner wants it asleep, whenever it was used.
    """

    id = models.BigAutoField(primary_key=True)
    subject = models.CharField(max_length=40, unique=True)
    cloud_id = models.CharField(max_length=40, db_index=True)
    cell_id = models.CharField(max_length=50)
    keys = models.JSONField()
    idle_since = models.DateTimeField(null=True)
    until = models.DateTimeField()
    operation = models.ForeignKey(Operation, on_delete=models.SET_NULL, null=True, related_name="+")


class DrainAnswer(models.Model):
    """What one gate saw after it had taken the subject out of its maps. open: requests and streams; used_at: the last."""

    # No constraint in the database: an answer that comes while the drain goes must not keep it from going.
    drain = models.ForeignKey(Drain, on_delete=models.CASCADE, related_name="answers", db_constraint=False)
    gate_id = models.CharField(max_length=120)
    open = models.PositiveIntegerField()
    used_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["drain", "gate_id"], name="drain_answer_once")]
