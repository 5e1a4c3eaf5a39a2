"""What the proxy's map of hosts says of an instance, in one line. No Django.

A line of any map costs the proxy 320 bytes before it says anything, so an instance is to be in as few maps as can be.
"""

from collections.abc import Callable
from dataclasses import dataclass

_MARK = "|"
_BETWEEN = "^"
Entries = frozenset[tuple[str, str, str]]  # feed.Placement


@dataclass(frozen=True)
class HostEntry:
    """`<instance>|<own key>|<m, where it has mounted micros>|<project>|<cloud>|<public>|<upstream>`; empty: there is none.

    own_key: shortened SHA-256 of the key by which its micros call each other. project, cloud: its collection, and whose.
    public: patterns of its primary micro's public routes. upstream: of that micro while it can be reached; it alone may hold
    the mark. known, again, access, instances and actions.cfg.template, hold.lua and public.lua read the same fields.
    """

    instance: str
    own_key: str = ""
    mounted: bool = False
    project: str = ""
    cloud: str = ""
    public: tuple[str, ...] = ()
    upstream: str = ""

    def line(self) -> str:
        public, mounted = _BETWEEN.join(self.public), "m" if self.mounted else ""
        fields = (self.instance, self.own_key, mounted, self.project, self.cloud, public, self.upstream)
        return _MARK.join(fields)


def read(line: str) -> HostEntry:
    """Raises ValueError where it is none."""
    instance, own_key, mounted, project, cloud, public, upstream = line.split(_MARK, 6)
    patterns = tuple(public.split(_BETWEEN)) if public else ()
    return HostEntry(instance, own_key, mounted == "m", project, cloud, patterns, upstream)


def completed(entries: Entries, complete: Callable[[HostEntry], HostEntry]) -> Entries:
    """The same entries of maps, with more in those of hosts."""
    return frozenset(
        (name, key, complete(read(value)).line() if name == "hosts" else value) for name, key, value in entries
    )
