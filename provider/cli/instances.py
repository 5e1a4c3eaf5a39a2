"""Finding the instance that a command is about."""

from pathlib import Path

from provider.cli import project
from provider.cli.api import Document
from provider.cli.failures import Failure
from provider.cli.session import Session


def find(here: Session, wanted: str) -> Document:
    """One instance by id, alias, host or address. Raises Failure when none or several match."""
    rows = here.api.listing("instances/")
    names = ("id", "alias", "host", "url")
    found = [row for row in rows if wanted in [row.get(name) for name in names]]
    if not found:
        raise Failure(f"There is no {wanted!r} in your cloud. See `freehold instances`.", code="not_found")
    if len(found) > 1:
        ids = ", ".join(str(row["id"]) for row in found)
        raise Failure(f"Several are called {wanted!r}; say which by its id: {ids}", code="ambiguous")
    return found[0]


def own_copy(here: Session, root: Path) -> Document:
    """The developer's own copy of the folder's project. Raises Failure before the first push."""
    return own_copy_of(here, project.linked(root, here.api.url))


def own_copy_of(here: Session, meta: project.Meta) -> Document:
    own = here.api.get(f"projects/{meta.id}/").get("builder_instance")
    if not own:
        raise Failure("The project has no copy in your cloud yet. Run: freehold push", code="not_pushed")
    return here.api.get(f"instances/{own}/")


def chosen(here: Session, wanted: str | None, root: Path) -> Document:
    """The named instance, else the folder's own."""
    return find(here, wanted) if wanted else own_copy(here, root)
