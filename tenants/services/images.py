"""Micros that are OCI images: only some clusters can run them."""

from django.conf import settings

from apps_catalog.blueprint import Blueprint
from tenants.errors import Refused


def require_runnable(blueprint: Blueprint, cell: str, field: str) -> None:
    """Raises Refused about `field`, naming the micro, where the cell is one machine and a micro is an image.

    What other cells are like only their own workers know; they would say so when they are told to run it.
    """
    if settings.RUNS_IMAGES or cell != settings.DEFAULT_CELL:
        return
    for part in blueprint.parts:
        if part.image is not None:
            raise Refused(
                "image_not_runnable",
                f"The micro “{part.name}” is an image (its image in the Spacefile), and this Freehold runs on one machine, "
                "which cannot run images.",
                field=field,
                detail={"micro": part.name, "key": "image"},
            )
