"""What operators look at: people, one person's affairs, what happened, where clouds are, what comes in."""

from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet, Sum
from django.db.models.functions import Coalesce

from tenants.models import HOLDING_COMPUTE, Cell, Cloud, Event, User
from tenants.states import DARK, CloudState, InstanceState


@dataclass(frozen=True)
class Load:
    """One cell: clouds that are there, instances by whether they run, and what these may take together at most."""

    cell: str
    clouds: int
    awake: int
    installed: int
    cpu_millis: int
    memory_mib: int


@dataclass(frozen=True)
class Income:
    """What plans bring in by one currency and interval, as they are priced now. minor: smallest units (cents)."""

    currency: str
    interval: str
    minor: int
    clouds: int


def people(asked: str = "") -> QuerySet[User]:
    """The beginning of a handle or an address, an id, or a namespace; the newest first."""
    rows = User.objects.select_related("cloud__plan").order_by("-date_joined")
    if not asked:
        return rows
    # Each by its own index; one OR over both tables would look at every row. Names are kept in small letters.
    name = asked.lower()
    found = [
        *(
            User.objects.filter(**{key: value})
            for key, value in (("handle__startswith", name), ("email__startswith", name))
        ),
        User.objects.filter(pk=asked),
    ]
    owners = Cloud.objects.filter(Q(namespace=asked) | Q(pk=asked)).values("owner_id")
    return rows.filter(pk__in=owners.union(*(some.values("pk") for some in found)))


def events(*, cloud_id: str = "", actor: str = "", subject: str = "") -> QuerySet[Event]:
    """What happened, the newest first."""
    rows = Event.objects.order_by("-at", "-pk")
    for name, value in (("cloud_id", cloud_id), ("actor", actor), ("subject", subject)):
        rows = rows.filter(**{name: value}) if value else rows
    return rows


def loads() -> list[Load]:
    there = ~Q(cloud__instances__state=InstanceState.REMOVED) & Q(cloud__instances__isnull=False)
    awake = Q(cloud__instances__state__in=HOLDING_COMPUTE)
    rows = Cell.objects.annotate(
        clouds=Count("cloud", filter=~Q(cloud__state=CloudState.CLOSED), distinct=True),
        awake=Count("cloud__instances", filter=awake, distinct=True),
        installed=Count("cloud__instances", filter=there, distinct=True),
        cpu=Coalesce(Sum("cloud__instances__cpu_millis", filter=awake), 0),
        memory=Coalesce(Sum("cloud__instances__memory_mib", filter=awake), 0),
    )
    return [Load(row.pk, row.clouds, row.awake, row.installed, row.cpu, row.memory) for row in rows.order_by("pk")]


def income() -> list[Income]:
    paying = Cloud.objects.filter(plan__price_minor__gt=0).exclude(state__in=DARK)
    sums = paying.values_list("plan__currency", "plan__interval").annotate(Sum("plan__price_minor"), Count("pk"))
    return [Income(*row) for row in sums.order_by("plan__currency", "plan__interval")]
