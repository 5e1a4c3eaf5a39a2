"""How much of a cloud's quota is taken, and whether more fits."""

from dataclasses import dataclass, fields

from django.db.models import BigIntegerField, Count, F, Q, Sum
from django.db.models.functions import Coalesce, Greatest

from tenants.errors import Conflict, QuotaExceeded
from tenants.models import HOLDING_COMPUTE, Cloud, Quota
from tenants.states import HELD, CloudState, InstanceState

MIB = 1024 * 1024
_WORDS = {
    "cpu_millis": ("processor time", "thousandths of a core"),
    "memory_mib": ("memory", "MiB"),
    "storage_mib": ("storage", "MiB"),
    "instances": ("apps", "installed"),
}


def in_words(resource: str, amount: int) -> str:
    """“300 MiB of storage”, “2 apps”."""
    name, unit = _WORDS[resource]
    if resource == "instances":
        return f"{amount} app" if amount == 1 else f"{amount} apps"
    return f"{amount} {unit} of {name}"


def locked(cloud_id: str) -> Cloud:
    """Its row, locked, with plan, cell and owner as they are then; in any state.

    In two statements: one that joins the plan and has to wait finds no row at all where the plan was changed meanwhile,
    because PostgreSQL then compares the new row with the old plan.
    """
    Cloud.objects.select_for_update(no_key=True).values_list("pk").get(pk=cloud_id)
    return Cloud.objects.select_related("plan", "cell", "owner").get(pk=cloud_id)


def lock(cloud_id: str) -> Cloud:
    """The cloud's row, locked until the transaction ends: whoever decides about its quota decides one at a time.

    Raises Conflict when nothing may be added to the cloud.
    """
    cloud = locked(cloud_id)
    if cloud.state not in (CloudState.CREATING, CloudState.ACTIVE):
        why = f" {cloud.state_reason}" if cloud.state in HELD else ""
        raise Conflict("cloud_unavailable", f"Your cloud is {cloud.get_state_display().lower()}.{why}")
    return cloud


def use_of(cloud: Cloud) -> Quota:
    """What its instances and its data take, by the database: the sleeping ones' compute is free, the removed ones' too.

    An instance counts with its allowance of storage; its collection only with what goes beyond, a kept one with all.
    """
    there = ~Q(state=InstanceState.REMOVED)
    awake = Q(state__in=HOLDING_COMPUTE)
    sums = cloud.instances.aggregate(
        cpu_millis=Coalesce(Sum("cpu_millis", filter=awake), 0),
        memory_mib=Coalesce(Sum("memory_mib", filter=awake), 0),
        storage_mib=Coalesce(Sum("storage_mib", filter=there), 0),
        instances=Count("pk", filter=there),
    )
    sums["storage_mib"] += _beyond_mib(cloud)
    return Quota(**sums)


def _beyond_mib(cloud: Cloud) -> int:
    allowance = Coalesce(F("instance__storage_mib") * MIB, 0)
    beyond = Greatest(F("size_bytes") - allowance, 0, output_field=BigIntegerField())
    found = cloud.collections.aggregate(beyond=Coalesce(Sum(beyond), 0, output_field=BigIntegerField()))["beyond"]
    return -(-int(found) // MIB)


def after(cloud: Cloud, needed: Quota) -> Quota:
    """Use of the cloud with `needed` added."""
    use = use_of(cloud)
    return Quota(**{f.name: getattr(use, f.name) + getattr(needed, f.name) for f in fields(Quota)})


def require(cloud: Cloud, needed: Quota) -> Quota:
    """Raise QuotaExceeded unless `needed` fits beside what is there; return the use it would lead to.

    Only a promise while `cloud` comes from `lock` in the same transaction.
    """
    limit, then = cloud.quota, after(cloud, needed)
    for resource in _WORDS:
        wanted, most, extra = (getattr(amount, resource) for amount in (then, limit, needed))
        if extra and wanted > most:
            raise QuotaExceeded(
                _sentence(resource, limit, then, needed),
                {"resource": resource, "limit": most, "used": wanted - extra, "needed": extra},
            )
    return then


@dataclass(frozen=True)
class Room:
    """Whether something fits into a cloud. left: of the limit afterwards, negative where it lacks; lacking: why, or ""."""

    limit: Quota
    left: Quota
    lacking: str


def room(cloud: Cloud, needed: Quota) -> Room:
    """For people, before they ask for it; only a promise under the cloud's lock."""
    limit, then = cloud.quota, after(cloud, needed)
    left = Quota(**{f.name: getattr(limit, f.name) - getattr(then, f.name) for f in fields(Quota)})
    return Room(limit, left, lacking(limit, then, needed))


def lacking(limit: Quota, then: Quota, needed: Quota) -> str:
    """Why `needed`, which would lead to `then`, does not fit; "" where it does."""
    short = [name for name in _WORDS if getattr(needed, name) and getattr(then, name) > getattr(limit, name)]
    return _sentence(short[0], limit, then, needed) if short else ""


def _sentence(resource: str, limit: Quota, then: Quota, needed: Quota) -> str:
    name, unit = _WORDS[resource]
    most, extra = getattr(limit, resource), getattr(needed, resource)
    taken = getattr(then, resource) - extra
    return f"Your cloud has not enough {name}: {taken} of {most} {unit} are taken, {extra} more needed."
