"""What the proxy's map of hosts says of an instance, in one line: an entry of a map costs the proxy 350 bytes before it says
anything, so an instance that is awake and has data is to be one. No Django.
"""

from dataclasses import dataclass

_MARK = "/"


@dataclass(frozen=True)
class HostEntry:
    """`<instance>/<own key>/<m where it has mounted micros>/<project>/<cloud>/<upstream>`, "" for what there is not.

    own_key: shortened SHA-256 of the key by which its micros call each other. project, cloud: its collection, and whose.
    upstream: of its primary micro while that can be reached; only this may hold the mark. The rules read the same fields:
    known, again, access, instances and actions.cfg.template, and hold.lua.
    """

    instance: str
    own_key: str = ""
    mounted: bool = False
    project: str = ""
    cloud: str = ""
    upstream: str = ""

    def line(self) -> str:
        mounted = "m" if self.mounted else ""
        return _MARK.join((self.instance, self.own_key, mounted, self.project, self.cloud, self.upstream))


def read(line: str) -> HostEntry:
    """Raises ValueError where it is none."""
    instance, own_key, mounted, project, cloud, upstream = line.split(_MARK, 5)
    return HostEntry(instance, own_key, mounted == "m", project, cloud, upstream)
