"""Paths in a Spacefile: relative, inside the project, in one spelling."""

import posixpath
import re

_DRIVE = re.compile(r"^[A-Za-z]:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def clean(value: str) -> str:
    """`./api/` → `api`, `.` → "". Leading `..` is kept: `inside` refuses it. Raises ValueError with a sentence."""
    if not value.strip():
        raise ValueError("must not be empty; write . for the project's own folder")
    if _CONTROL.search(value):
        raise ValueError("must not contain control characters")
    if "\\" in value:
        raise ValueError("must use / between folders, not a backslash")
    if value.startswith(("/", "~")) or _DRIVE.match(value):
        raise ValueError("must be relative to the project, not absolute")
    normal = posixpath.normpath(value.strip())
    return "" if normal == "." else normal


def inside(value: str, folder: str = "") -> str:
    """`clean` seen from `folder`, as a path from the project's root. Raises ValueError if it leaves the project."""
    joined = posixpath.normpath(posixpath.join(folder or ".", clean(value) or "."))
    if joined == ".." or joined.startswith("../"):
        raise ValueError("must stay inside the project")
    return "" if joined == "." else joined
