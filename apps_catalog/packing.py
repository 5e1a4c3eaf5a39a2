"""A project folder → the zip that is uploaded: `.spaceignore` as the former client read it, equal bytes each time."""

import os
import re
import shutil
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from apps_catalog.bundles import BundleError

DEFAULT_IGNORES = (
    *(".space", ".spaceignore", "Discovery.md"),
    *(".hg", ".git", ".gitmodules", ".gitignore", ".svn"),
    *("build", "dist", ".output/", ".next", ".nuxt", ".svelte-kit", ".astro"),
    *("node_modules", ".npmignore", ".cache", ".yarn"),
    *("npm-debug.log*", "yarn-debug.log*", "yarn-error.log*", "lerna-debug.log*", ".pnpm-debug.log*"),
    *(".venv", "venv", "virtualenv", "__pycache__", "target"),
    *("*.lcov", ".nyc_output", ".coverage", ".coverage.*", ".dockerignore"),
    *(".env.local", ".env.*.local", ".env", ".envrc"),
    *(".*.swp", ".vscode", ".history", ".DS_Store", ".lock-wscript", "config.gypi", "CVS"),
)
_EPOCH = (1980, 1, 1, 0, 0, 0)
_REGULAR_FILE = 0o100644 << 16
_PIECE = 256 * 1024


@dataclass(frozen=True)
class Packed:
    """names: what went in, sorted. size_bytes: before compression."""

    names: tuple[str, ...]
    size_bytes: int


class Ignore:
    """Patterns in the dialect of the former client's matcher, where it differs from git's:

    `?` is literal and character classes are regular expressions; a pattern with `/` in it, unless anchored or ending
    in `*.ext`, matches at any depth; a pattern that ends in `/` does not match the folder's own name.
    """

    def __init__(self, lines: Iterator[str] | tuple[str, ...] | list[str]) -> None:
        compiled = (_compile(line) for line in lines)
        self._patterns = [pattern for pattern in compiled if pattern]

    def __call__(self, name: str) -> bool:
        """Whether `name` (posix, relative, without a slash at its end) stays behind. The last match wins."""
        for pattern, ignores in reversed(self._patterns):
            if pattern.match(name):
                return ignores
        return False


def ignore_for(folder: Path) -> Ignore:
    """The built-in list and then the lines of `.spaceignore` in the project's root."""
    own = folder / ".spaceignore"
    lines = own.read_text(encoding="utf-8", errors="replace").split("\n") if own.is_file() else []
    return Ignore([*DEFAULT_IGNORES, *lines])


def pack(folder: Path, into: BinaryIO, ignore: Ignore | None = None) -> Packed:
    """Write the project as a zip: sorted names, no folders, no times, no modes; links to files as their content.

    Raises BundleError for what cannot travel (a link to a folder) and OSError for what cannot be read.
    """
    names, size = [], 0
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED, allowZip64=False) as archive:
        for name in sorted(_walk(folder, "", ignore or ignore_for(folder))):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.compress_type, info.external_attr, info.create_system = zipfile.ZIP_DEFLATED, _REGULAR_FILE, 3
            # In pieces: a file may be as large as a bundle.
            with (folder / name).open("rb") as content, archive.open(info, "w") as packed:
                shutil.copyfileobj(content, packed, _PIECE)
            names.append(name)
            size += info.file_size
    return Packed(tuple(names), size)


def _walk(folder: Path, below: str, ignore: Ignore) -> Iterator[str]:
    with os.scandir(folder / below) as found:
        for item in found:
            name = f"{below}/{item.name}" if below else item.name
            if ignore(name):
                continue
            if item.is_symlink() and item.is_dir():
                raise BundleError(f"{name} is a link to a folder; put the folder itself there or ignore it")
            if item.is_dir():
                yield from _walk(folder, name, ignore)
            elif item.is_file():
                yield name


def _compile(line: str) -> tuple[re.Pattern[str], bool] | None:
    """(pattern, whether it ignores), or None for blank lines, comments and what is no regular expression."""
    line = line.rstrip("\r")
    if line.startswith("#") or not line.strip(" "):
        return None
    line = line.strip(" ")
    ignores = not line.startswith("!")
    body = line if ignores else line[1:]
    if body[:2] in ("\\#", "\\!"):
        body = body[1:]
    if re.search(r"[^/]/.*\*\.", body):
        body = "/" + body.lstrip("/")
    anchored = body.startswith("/") and not body.startswith("/**/")
    expression = ("" if anchored else "(?:.*/)?") + _expression(body.lstrip("/") if body.startswith("/") else body)
    expression += "" if body.endswith("/") else "(?:/.*)?$"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of classes that may mean more in a later Python
            return re.compile(expression), ignores
    except re.error:
        return None


_TOKENS = re.compile(r"/\*\*/|\*\*/|/\*\*|\\\*|\*|\?|\.")
_MEANINGS = {
    "/**/": "(?:/|/.+/)",
    "**/": "(?:|.*/)",
    "/**": "(?:|/.*)",
    "\\*": "\\*",
    "*": "[^/]*",
    "?": "\\?",
    ".": "\\.",
}


def _expression(body: str) -> str:
    return _TOKENS.sub(lambda token: _MEANINGS[token[0]], body)
