"""Which micro a path leads to, as the proxy decides by its maps."""

import re
from collections.abc import Container

_RESERVED = re.compile(r"/+__space(?![a-z0-9_-])", re.IGNORECASE)


def split(path: str, mounts: Container[str]) -> tuple[str | None, str]:
    """The mount ("" for the primary) by the first segment as it was spelt, and the path with that segment stripped.

    None in place of a mount: a reserved path, which no micro answers.
    """
    segment, _, rest = path[1:].partition("/")
    mount, path = (segment, f"/{rest}") if segment and segment in mounts else ("", path)
    return (None if _RESERVED.match(path) else mount), path
