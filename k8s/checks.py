"""What can never run, whatever the cluster: said before anything is asked of it."""

import re
from pathlib import PurePosixPath

from k8s.errors import Permanent
from k8s.specs import InstanceSpec, MicroKind, MicroSpec

_ID = re.compile(r"[a-z0-9]{1,40}")
_MICRO = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_IMAGE = re.compile(r"[a-z0-9][a-z0-9._:/-]{0,254}@sha256:[0-9a-f]{64}")
_ENV_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_SYSTEM = (
    "/bin",
    "/boot",
    "/bundle",
    "/dev",
    "/etc",
    "/lib",
    "/lib64",
    "/opt/freehold",
    "/proc",
    "/run",
    "/sbin",
    "/sys",
    "/usr",
)
_SHARED = ("/", "/opt", "/tmp", "/var")  # noqa: S108 - below them, but not they


def require_id(value: str) -> str:
    if not _ID.fullmatch(value):
        raise Permanent(f"“{value[:80]}” is not an id: lower-case letters and digits, at most 40")
    return value


def check_shape(spec: InstanceSpec) -> None:
    """What no driver can run, wherever it puts things. Raises Permanent."""
    require_id(spec.cloud_id)
    require_id(spec.instance_id)
    if spec.replicas not in (0, 1):
        raise Permanent("an instance has 0 or 1 replicas")
    names = [micro.name for micro in spec.micros]
    if not names or len(set(names)) != len(names):
        raise Permanent("an instance needs micros, each with a name of its own")
    for micro in spec.micros:
        if not _MICRO.fullmatch(micro.name):
            raise Permanent(f"“{micro.name[:80]}” is not a micro's name")
        if micro.image is not None:
            _check_image(micro, micro.image)
        elif micro.kind is MicroKind.PROCESS and not micro.command:
            raise Permanent(f"the micro “{micro.name}” has no command")
        elif not spec.artifact:
            raise Permanent(f"the micro “{micro.name}” has neither an artifact nor an image")


def _check_image(micro: MicroSpec, image: str) -> None:
    if micro.kind is not MicroKind.PROCESS or not _IMAGE.fullmatch(image):
        raise Permanent(f"the micro “{micro.name}” has an image that is not registry/name@sha256:… of a process")


def check_instance(spec: InstanceSpec) -> None:
    """Raises Permanent for what cannot be run in containers."""
    check_shape(spec)
    for micro in spec.micros:
        _check_environment(micro)
    if spec.volume and _reserved(spec.volume.path):
        raise Permanent(f"“{spec.volume.path}” cannot be a volume: it is relative or belongs to the system")


def _check_environment(micro: MicroSpec) -> None:
    for name, value in micro.env.items():
        if not _ENV_NAME.fullmatch(name) or "\0" in value:
            raise Permanent(
                f"the environment of the micro “{micro.name}” holds a name or value that no container can have"
            )


def _reserved(path: str) -> bool:
    place = PurePosixPath(path)
    if not place.is_absolute() or ".." in place.parts or str(place) in _SHARED:
        return True
    return any(place.is_relative_to(system) for system in _SYSTEM)
