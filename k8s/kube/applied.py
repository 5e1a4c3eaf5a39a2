"""What this process has applied and nobody is known to have changed since: asked for it again, the driver makes no call."""

from collections import OrderedDict
from dataclasses import asdict

from k8s import naming
from k8s.specs import CloudSpec, InstanceSpec

_KEPT = 50_000  # of some 200 bytes each


class Applied:
    """By cloud and instance: a digest of the spec, and its generation. Threads share it: each step is one of the dict's own.

    It is forgotten when a watch or an observation shows that something is not as it was. Another process may have applied a
    newer spec; whoever brings the older one then is told that there is nothing to do, which is so.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], tuple[str, int]] = OrderedDict()

    def holds(self, spec: CloudSpec | InstanceSpec) -> bool:
        return self._known.get(_key(spec), ("", 0))[0] == _digest(spec)

    def note(self, spec: CloudSpec | InstanceSpec) -> None:
        self._known[_key(spec)] = (_digest(spec), spec.generation if isinstance(spec, InstanceSpec) else 0)
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)

    def saw(self, cloud_id: str, instance_id: str, generation: int | None) -> None:
        """What an observation found (None: nothing)."""
        known = self._known.get((cloud_id, instance_id))
        if known and known[1] != generation:
            self.forget(cloud_id, instance_id)

    def forget(self, cloud_id: str, instance_id: str | None = None) -> None:
        """instance_id None: only what holds the cloud together."""
        self._known.pop((cloud_id, instance_id or ""), None)

    def forget_cloud(self, cloud_id: str) -> None:
        """The cloud and all in it."""
        for key in [key for key in tuple(self._known) if key[0] == cloud_id]:
            self._known.pop(key, None)


def _key(spec: CloudSpec | InstanceSpec) -> tuple[str, str]:
    return spec.cloud_id, spec.instance_id if isinstance(spec, InstanceSpec) else ""


def _digest(spec: CloudSpec | InstanceSpec) -> str:
    return naming.digest(asdict(spec))
