"""What the whole installation was like, one row for every day: the operators' desk shows it and draws its history."""

from typing import Any

from django.db import models


class DeskDay(models.Model):
    """The last count of a day (UTC). took_ms: how long counting took. figures: as `services.figures.Figures` in JSON."""

    day = models.DateField(primary_key=True)
    counted_at = models.DateTimeField()
    took_ms = models.PositiveIntegerField()
    figures: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField()

    def __str__(self) -> str:
        return str(self.day)
