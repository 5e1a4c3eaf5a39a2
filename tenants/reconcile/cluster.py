"""The clusters that clouds live in: this process's own cell's, and those of the others that it works for."""

from functools import lru_cache

from django.conf import settings

from k8s.cluster import Cluster
from k8s.connect import connect, installation_of
from k8s.errors import Permanent
from tenants.models import Installation


class WrongInstallation(Exception):
    """`str()` says which ids meet. To go on would touch what belongs to another Freehold."""


@lru_cache(maxsize=1)
def current() -> Cluster:
    """One driver per process; drivers may be used by several threads.

    Raises k8s.errors.Permanent for a wrong URL, WrongInstallation for a cluster that is told to hold another's objects.
    """
    return _connected(settings.CLUSTER_URL)


def of(cell: str) -> Cluster:
    """The cluster of a cell, by its name. Raises Permanent for one that this process was told nothing about."""
    if cell == settings.DEFAULT_CELL:
        return current()
    if cell not in settings.OTHER_CELLS:
        raise Permanent(f"the cell “{cell}” is not among FREEHOLD_OTHER_CELLS; an operator must name its cluster")
    return _other(cell)


def cells() -> tuple[str, ...]:
    """Names of the cells that `of` knows."""
    return (settings.DEFAULT_CELL, *settings.OTHER_CELLS)


@lru_cache
def _other(cell: str) -> Cluster:
    return _connected(settings.OTHER_CELLS[cell])


def _connected(url: str) -> Cluster:
    require_own(installation_of(url))
    return connect(url)


def own_id() -> str | None:
    """This installation's UUID; None before anything was prepared."""
    row = Installation.objects.first()
    return str(row.pk) if row else None


def require_own(named: str | None) -> None:
    """Raises WrongInstallation if `named` is not this installation's id. None (one machine) names nobody."""
    if named is not None and named != (known := own_id()):
        raise WrongInstallation(
            f"CLUSTER_URL names the installation {named}, but this database belongs to {known or 'none yet'}: "
            "give the URL of this installation, or the database of that one."
        )
