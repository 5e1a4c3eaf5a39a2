"""How many people have which version of an app: numbers for its developer, nothing about anybody."""

from dataclasses import dataclass

from django.db.models import Count, Max

from apps_catalog.models import App
from tenants.models import Instance
from tenants.states import InstanceState


@dataclass(frozen=True)
class VersionUse:
    version: str
    copies: int


@dataclass(frozen=True)
class Adoption:
    """installs: clouds that ever had a copy. copies: now. automatic: of them, those that follow by themselves.
    versions: newest first."""

    installs: int
    copies: int
    automatic: int
    versions: tuple[VersionUse, ...]


def adoption_of(app: App) -> Adoption:
    """One query however many copies there are. The developer's own copy does not count."""
    copies = Instance.objects.filter(app=app, is_builder=False, release__isnull=False)
    copies = copies.exclude(state__in=(InstanceState.REMOVING, InstanceState.REMOVED))
    rows = copies.values("release__version", "auto_update").annotate(n=Count("pk"), at=Max("release__created_at"))
    by_version: dict[str, int] = {}
    automatic = 0
    for row in rows.order_by("-at"):
        by_version[row["release__version"]] = by_version.get(row["release__version"], 0) + row["n"]
        automatic += row["n"] if row["auto_update"] else 0
    versions = tuple(VersionUse(version, number) for version, number in by_version.items())
    return Adoption(app.installs, sum(by_version.values()), automatic, versions)
