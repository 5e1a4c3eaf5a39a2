"""What operators look at: people, what fails and what waits, what happened, where clouds are, what comes in."""

from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from apps_catalog.models import AppReport, Release, Review
from tenants.models import HOLDING_COMPUTE, Cell, Cloud, Event, Instance, Operation, OperationKind, User
from tenants.states import DARK, CloudState, InstanceState, WorkState

OVERDUE = timedelta(minutes=2)
LATELY = timedelta(days=14)  # what failed before, and nobody did again since, is nobody's worry any more
OPEN = (WorkState.QUEUED, WorkState.RUNNING)


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


@dataclass(frozen=True)
class Waiting:
    """What an operator's answer is waited for, and the cluster's. behind: instances that are not yet as wanted."""

    reviews: int
    reports: int
    operations: int
    behind: int


def waiting() -> Waiting:
    return Waiting(
        Release.objects.filter(review=Review.PENDING).count(),
        AppReport.objects.filter(closed_at__isnull=True).count(),
        Operation.objects.filter(state__in=OPEN).count(),
        Instance.objects.filter(observed_generation__lt=F("generation")).count(),
    )


def failing() -> QuerySet[Operation]:
    """What failed lately and nothing newer of the same thing overtook, and what has been open for long; the newest first.
    An account that is being closed is open until its date, and no failure."""
    later = Operation.objects.filter(cloud=OuterRef("cloud"), created_at__gt=OuterRef("created_at"))
    same = Q(instance=OuterRef("instance")) | Q(instance=None, kind=OuterRef("kind"))
    now = timezone.now()
    stuck = Q(state__in=OPEN, created_at__lt=now - OVERDUE) & ~Q(kind=OperationKind.CLOSE_CLOUD)
    failed = Q(~Exists(later.filter(same)), state=WorkState.FAILED, created_at__gte=now - LATELY)
    return operations().filter(failed | stuck)


def operations() -> QuerySet[Operation]:
    """All, the newest first, with whose they are."""
    return Operation.objects.select_related("instance", "cloud__owner").order_by("-created_at")


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


def events(*, cloud_id: str = "", actor: str = "", subject: str = "", kind: str = "") -> QuerySet[Event]:
    """What happened, the newest first."""
    rows = Event.objects.order_by("-pk")  # they are only ever added
    for name, value in (("cloud_id", cloud_id), ("actor", actor), ("subject", subject), ("kind", kind)):
        rows = rows.filter(**{name: value}) if value else rows
    return rows


def ids_of(asked: str) -> list[str]:
    """What the record may call it: an id as it is, a handle as its person and their cloud."""
    found = User.objects.filter(handle=asked.lower()).values_list("pk", "cloud__pk").first()
    return [asked, *(one for one in found or () if one)]


def events_of(*filters: Q) -> QuerySet[Event]:
    """What any of `filters` is true of, the newest first; each by its own index, as one OR it would look at every row."""
    if not filters:
        return events()
    first, *others = (Event.objects.filter(one).order_by().values("pk") for one in filters)
    return events().filter(pk__in=first.union(*others))


def events_about(cloud: Cloud) -> QuerySet[Event]:
    """What happened to a cloud and to whoever owns it."""
    return events_of(Q(cloud_id=cloud.pk), Q(subject=cloud.owner_id))


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
