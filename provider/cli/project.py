"""A developer's folder: what is linked to it in `.space/`, what of it is sent, and as of when."""

import json
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

from provider.cli.failures import Failure, Usage

_README = "Freehold keeps here which project this folder is. It is not part of the app; do not commit it.\n"


@dataclass(frozen=True)
class Meta:
    """id and alias: the project's slug. url: the console it lives at. revision: the last one pushed, or empty."""

    id: str
    name: str
    alias: str
    url: str
    revision: str = ""


def folder(given: Path) -> Path:
    """Raises Usage unless it is a folder with a Spacefile."""
    if not given.is_dir():
        raise Usage(f"{given} is not a folder.", code="usage", field="dir")
    if not (given / "Spacefile").is_file():
        raise Usage(f"There is no Spacefile in {given.resolve()}.", code="usage", field="Spacefile")
    return given.resolve()


def read_meta(root: Path) -> Meta | None:
    try:
        data = json.loads((root / ".space" / "meta").read_text(encoding="utf-8"))
        return Meta(data["id"], data["name"], data.get("alias", data["id"]), data["url"], data.get("revision", ""))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, OSError) as error:
        raise Failure(f"{root}/.space/meta cannot be read. Remove it to begin anew.", code="meta") from error


def linked(root: Path, url: str) -> Meta:
    """Raises Failure when the folder is no project yet, or one of another provider."""
    meta = read_meta(root)
    if meta is None:
        raise Failure("This folder is no project yet. Run: freehold push", code="not_linked")
    if meta.url != url:
        raise Failure(
            f"This folder is the project {meta.id} at {meta.url}, not at {url}."
            " Choose with --url, or remove .space/meta to make a new project.",
            code="linked_elsewhere",
        )
    return meta


def write_meta(root: Path, meta: Meta) -> None:
    space = root / ".space"
    space.mkdir(exist_ok=True)
    (space / ".gitignore").write_text("*\n", encoding="utf-8")
    (space / "README").write_text(_README, encoding="utf-8")
    (space / "meta").write_text(json.dumps(asdict(meta), indent=2) + "\n", encoding="utf-8")


def discovery(root: Path) -> str | None:
    """The text of Discovery.md, which says what the catalog shows; None where there is none."""
    try:
        return (root / "Discovery.md").read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise Failure(f"Discovery.md cannot be read: {error}", code="unreadable", field="Discovery.md") from error


def commit_date(root: Path) -> str | None:
    """When the checked-out commit was made (RFC 3339), if the folder is a clean checkout; else None.

    Unpinned dependencies are then resolved as of that day, so that an old commit builds as it did.
    """
    if _git(root, "status", "--porcelain", "--", ".") != "":
        return None
    return _git(root, "log", "-1", "--format=%cI") or None


def _git(root: Path, *arguments: str) -> str | None:
    """None where there is no git, no repository, or no commit."""
    try:
        run = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return run.stdout.strip() if run.returncode == 0 else None
