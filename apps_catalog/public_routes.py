"""Which paths of a micro anyone may open. Decided on one spelling only; in doubt a path is private."""

import re
from collections.abc import Iterable

_RAW = re.compile(r"/[A-Za-z0-9._~!$&'()*+,=:@/%-]*")
_ENCODED = re.compile(r"%([0-9A-Fa-f]{2})")
_NEVER_ENCODED = re.compile(r"[A-Za-z0-9._~/\\;%?#-]")  # another spelling of itself, or read differently upstream
_RESERVED = "/__space"


def shown(mount: str, routes: Iterable[str]) -> tuple[str, ...]:
    """The routes of the micro at `mount` ("" is the primary) as they begin on the app's host, for people to read."""
    begin = f"/{mount}/" if mount else "/"
    return tuple(begin + route.lstrip("/") for route in routes)


def canonical_path(raw: str) -> str | None:
    """The decoded path if `raw` (the request's path without query) is its one canonical spelling, else None.

    None for: doubled slashes, `.` and `..` segments, anything encoded that need not be, encoded slashes, dots,
    percent signs, semicolons, backslashes, control characters, raw characters outside RFC 3986, invalid UTF-8.
    """
    if not _RAW.fullmatch(raw) or "//" in raw:
        return None
    if raw.count("%") != len(codes := _ENCODED.findall(raw)):
        return None
    if any(_NEVER_ENCODED.fullmatch(chr(int(code, 16))) for code in codes):
        return None
    if any(segment in (".", "..") for segment in raw.split("/")):
        return None
    return _decoded(raw)


def _decoded(raw: str) -> str | None:
    octets = _ENCODED.sub(lambda code: chr(int(code[1], 16)), raw).encode("latin-1")
    try:
        path = octets.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 for char in path) else path


def matches_public(patterns: Iterable[str], path: str) -> bool:
    """Whether one of a micro's patterns opens `path`, a canonical path below the micro's mount.

    A pattern is exact, or has `*` anywhere for any characters, slashes and none included. A missing leading slash
    counts as there, blanks at the ends do not count. Text that was a regular expression to the former platform
    (`(?!…)`) opens nothing. Nothing opens /__space. Linear in the path for every pattern.
    """
    if not path.startswith("/") or path == _RESERVED or path.startswith(_RESERVED + "/"):
        return False
    return any(_matches(pattern.strip(), path) for pattern in patterns)


def _matches(pattern: str, path: str) -> bool:
    if not pattern or "(?" in pattern:
        return False
    first, *rest = (pattern if pattern.startswith("/") else f"/{pattern}").split("*")
    if not rest:
        return path == first
    *middle, last = rest
    if not path.startswith(first) or not path.endswith(last) or len(path) < len(first) + len(last):
        return False
    at, end = len(first), len(path) - len(last)
    for part in middle:  # the earliest place is always the best one for what follows
        at = path.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True
