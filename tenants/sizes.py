"""What instances take of a cloud's quota."""

from dataclasses import dataclass

from apps_catalog.blueprint import Blueprint, Part
from tenants.models import Instance, Quota

DEFAULT_CPU_MILLIS = 200
DEFAULT_MEMORY_MIB = 512
DEFAULT_STORAGE_MIB = 500


@dataclass(frozen=True)
class Size:
    """What one micro that is a process may use at most, where its Spacefile says nothing."""

    cpu_millis: int = DEFAULT_CPU_MILLIS
    memory_mib: int = DEFAULT_MEMORY_MIB


def needs_of(blueprint: Blueprint, size: Size) -> Quota:
    """Only processes take compute, each what its Spacefile says, else `size`. A volume counts with its full size, an app
    without one with the usual allowance."""
    each = [size_of_part(part, size) for part in blueprint.processes]
    return Quota(
        cpu_millis=sum(one.cpu_millis for one in each),
        memory_mib=sum(one.memory_mib for one in each),
        storage_mib=blueprint.volume_mib or DEFAULT_STORAGE_MIB,
        instances=1,
    )


def size_of(instance: Instance, blueprint: Blueprint) -> Size:
    """How large its processes are of which the Spacefile says nothing; `blueprint` is that of its own revision."""
    cpu = _share(instance.cpu_millis, [part.cpu_millis for part in blueprint.processes])
    memory = _share(instance.memory_mib, [part.memory_mib for part in blueprint.processes])
    return Size(cpu or DEFAULT_CPU_MILLIS, memory or DEFAULT_MEMORY_MIB)


def size_of_part(part: Part, size: Size) -> Size:
    return Size(part.cpu_millis or size.cpu_millis, part.memory_mib or size.memory_mib)


def _share(whole: int, declared: list[int | None]) -> int:
    """What each of the undeclared ones has of `whole`; 0 where there are none."""
    open_ones = declared.count(None)
    return max(0, whole - sum(amount or 0 for amount in declared)) // open_ones if open_ones else 0


def columns(needs: Quota) -> dict[str, int]:
    """As an instance's row keeps them."""
    return {"cpu_millis": needs.cpu_millis, "memory_mib": needs.memory_mib, "storage_mib": needs.storage_mib}
