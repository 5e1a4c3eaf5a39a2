"""What instances take of a cloud's quota."""

from dataclasses import dataclass

from apps_catalog.blueprint import Blueprint
from tenants.models import Instance, Quota

DEFAULT_CPU_MILLIS = 200
DEFAULT_MEMORY_MIB = 512
DEFAULT_STORAGE_MIB = 500


@dataclass(frozen=True)
class Size:
    """What one micro that is a process may use at most."""

    cpu_millis: int = DEFAULT_CPU_MILLIS
    memory_mib: int = DEFAULT_MEMORY_MIB


def needs_of(blueprint: Blueprint, size: Size) -> Quota:
    """Only processes take compute. A volume counts with its full size, an app without one with the usual allowance."""
    return Quota(
        cpu_millis=size.cpu_millis * blueprint.processes,
        memory_mib=size.memory_mib * blueprint.processes,
        storage_mib=blueprint.volume_mib or DEFAULT_STORAGE_MIB,
        instances=1,
    )


def size_of(instance: Instance, blueprint: Blueprint) -> Size:
    """How large each of its processes is; `blueprint` is that of its own revision."""
    if not blueprint.processes:
        return Size()
    return Size(instance.cpu_millis // blueprint.processes, instance.memory_mib // blueprint.processes)


def columns(needs: Quota) -> dict[str, int]:
    """As an instance's row keeps them."""
    return {"cpu_millis": needs.cpu_millis, "memory_mib": needs.memory_mib, "storage_mib": needs.storage_mib}
