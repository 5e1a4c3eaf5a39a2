"""Moving files from the project into the artifact: modes, links, `include`."""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from .work import BuildFailed, Micro, Workspace, say

_SKIPPED = frozenset((".git", ".hg", ".svn", "__pycache__"))
_MAGIC = (b"#!", b"\x7fELF")
MAX_CODE_BYTES = 250_000_000
MAX_DEPENDENCY_BYTES = 250_000_000


def restore_modes(folder: Path) -> None:
    """Uploads carry no modes: scripts and programs among them become executable again."""
    for path in _files(folder):
        if not path.is_symlink() and _is_program(path):
            path.chmod(path.stat().st_mode | 0o755)


def _is_program(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4).startswith(_MAGIC)


def _files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED and name != "node_modules")
        yield from (Path(parent, name) for name in sorted(names))


def copy_into(source: Path, target: Path, *, skip: frozenset[str] = frozenset()) -> None:
    """A folder's content into `target`, or a file to `target`. `skip`: names left out at the top.

    Links stay only where they are relative and end inside what is copied; others are left out and said.
    """
    if not source.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        _copy_file(source, target)
        return
    target.mkdir(parents=True, exist_ok=True)
    with os.scandir(source) as found:
        items = sorted((item for item in found if item.name not in _SKIPPED | skip), key=lambda item: item.name)
    for item in items:
        _copy_item(source, Path(item.path), target / item.name)


def _copy_item(root: Path, source: Path, target: Path) -> None:
    if source.is_symlink():
        _copy_link(root, source, target)
    elif source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        for child in sorted(source.iterdir()):
            if child.name not in _SKIPPED:
                _copy_item(root, child, target / child.name)
    elif source.is_file():
        _copy_file(source, target)


def _copy_link(root: Path, source: Path, target: Path) -> None:
    destination = source.readlink()
    ends_at = Path(os.path.normpath(source.parent / destination))
    if destination.is_absolute() or not ends_at.is_relative_to(root) or not source.exists():
        say(f"Left out the link {source.name}, which leads out of the app or nowhere")
        return
    target.unlink(missing_ok=True)
    target.symlink_to(destination)


def _copy_file(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    target.chmod(0o755 if source.stat().st_mode & stat.S_IXUSR or _is_program(source) else 0o644)


def copy_included(work: Workspace, micro: Micro, folder: Path, keep: tuple[str, ...] = ()) -> None:
    """The app's folder in the artifact: what `include` names and what `keep` names if it is there, or everything."""
    app = work.app(micro)
    app.mkdir(parents=True, exist_ok=True)
    if not micro.include:
        copy_into(folder, app)
        return
    for item in micro.include:
        _include(work, micro, folder, item)
    for name in keep:
        if (folder / name).exists() and not (app / name).exists():
            copy_into(folder / name, app / name)


def _include(work: Workspace, micro: Micro, folder: Path, item: str) -> None:
    source = work.inside(folder / item, micro, item)
    if not source.exists():
        raise BuildFailed(f"[{micro.name}] include {item} does not exist after the build")
    app, relative = work.app(micro), Path(os.path.normpath(item))
    if relative == Path():
        copy_into(source, app)
        return
    if ".." not in relative.parts:
        copy_into(source, app / relative)
    if source.is_file() or ".." in relative.parts:  # also at the root, under its own name: official examples rely on it
        copy_into(source, app / source.name)


def size_of(folder: Path) -> int:
    """Bytes of all files below `folder`; 0 if it is not there."""
    return sum(os.lstat(Path(parent, name)).st_size for parent, _, names in os.walk(folder) for name in names)


def check_size(work: Workspace, micro: Micro) -> None:
    """Count the micro into the total. Raises BuildFailed over 250 MB of code or of dependencies."""
    modules = size_of(work.app(micro) / "node_modules")
    code, dependencies = size_of(work.app(micro)) - modules, size_of(work.deps(micro)) + modules
    if code > MAX_CODE_BYTES:
        raise BuildFailed(f"[{micro.name}] code and assets are {code // 1_000_000} MB, at most 250 MB are allowed")
    if dependencies > MAX_DEPENDENCY_BYTES:
        raise BuildFailed(f"[{micro.name}] dependencies are {dependencies // 1_000_000} MB, at most 250 MB are allowed")
    work.total_bytes += code + dependencies
