"""Spacefile → what a builder must do. Knows no cluster: `tenants` turns this into the port's own types."""

from dataclasses import dataclass

from apps_catalog.public_routes import canonical_path, matches_public
from apps_catalog.spacefile import Spacefile

__all__ = ["PlannedMicro", "canonical_path", "matches_public", "plan"]


@dataclass(frozen=True)
class PlannedMicro:
    """The fields of the cluster port's BuildMicro, with the same meaning."""

    name: str
    engine: str
    src: str
    commands: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    run: str | None = None
    serve: str | None = None


def plan(spacefile: Spacefile) -> tuple[PlannedMicro, ...]:
    """One entry per micro that is built, in the file's order; none for one that is an image."""
    return tuple(
        PlannedMicro(micro.name, micro.engine, micro.src, micro.commands, micro.include, micro.run, micro.serve)
        for micro in spacefile.micros
        if micro.image is None
    )
