"""The data server of a cloud is awake whenever an instance of it is, and while anybody else needs it."""

import time
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from tenants import feed, steps
from tenants.models import HOLDING_COMPUTE, Collection, DataServer, Export, Instance, Operation
from tenants.reconcile.transfers import KINDS
from tenants.services import leaving
from tenants.services.drains import drop_drains
from tenants.states import CloudState, CollectionState, DataServerState
from tenants.tasks import enqueue_data_server

# For somebody to fetch it.
EXPORT_KEPT = timedelta(hours=2)
AT_ONCE = 500
# A page waits so long for one that is being woken.
WAIT_S, _LOOK_S = 8.0, 0.05
_NOTED_EVERY = timedelta(seconds=2)


def idle_since() -> datetime:
    """Whoever was used after that is not idle."""
    return timezone.now() - timedelta(seconds=settings.DATA_SLEEP_AFTER_S)


def rouse(cloud_id: str) -> None:
    """Its data server is needed: wanted awake from here on. However often asked, it is started once."""
    now = timezone.now()
    with transaction.atomic():
        drop_drains(cloud_id=cloud_id, subject__startswith="dat")
        sleeping = DataServer.objects.filter(cloud_id=cloud_id, awake=False)
        if sleeping.update(awake=True, used_at=now, generation=F("generation") + 1):
            feed.data_changed(cloud_id)
            enqueue_data_server(DataServer.objects.values_list("pk", flat=True).get(cloud_id=cloud_id))
            return
        late = Q(used_at__isnull=True) | Q(used_at__lt=now - _NOTED_EVERY)
        DataServer.objects.filter(late, cloud_id=cloud_id).update(used_at=now)


def roused(cloud_id: str) -> DataServer | None:
    """The cloud's data server for work of the provider's own: woken, and waited for, if it was asleep. Blocks, but not in
    a transaction, which nobody sees before its end."""
    server = DataServer.objects.select_related("cloud").filter(cloud_id=cloud_id).first()
    if server is None:
        return None
    was_asleep = not server.awake or server.state == DataServerState.STOPPED
    rouse(cloud_id)
    if server.cloud.state == CloudState.ASLEEP:  # its data goes on being read
        leaving.keep_up(server.cloud)
    can_run = server.cloud.state in (CloudState.ACTIVE, CloudState.ASLEEP) or server.needed_until is not None
    waits = was_asleep and can_run and not connection.in_atomic_block
    deadline = time.monotonic() + (WAIT_S if waits else 0)
    while not server.upstream and server.state != DataServerState.FAILED and time.monotonic() < deadline:
        time.sleep(_LOOK_S)
        server.refresh_from_db()
    return server


def rouse_for(project_id: str) -> None:
    """As `rouse`, by a collection of the cloud. Whoever calls has seen to it that the asker may use it."""
    cloud_id = Collection.objects.filter(project_id=project_id).values_list("cloud_id", flat=True).first()
    if cloud_id is not None:
        rouse(cloud_id)


def idle() -> list[DataServer]:
    """Servers that nobody has used for a while, of clouds in which nothing needs one. One query."""
    rows = DataServer.objects.filter(awake=True, state=DataServerState.RUNNING, cloud__state=CloudState.ACTIVE)
    rows = rows.filter(observed_generation=F("generation")).exclude(used_at__gt=idle_since())
    for needing, cloud in _needing():
        rows = rows.exclude(Exists(needing.filter(**{cloud: OuterRef("cloud")})))
    return list(rows.select_related("cloud")[:AT_ONCE])


def may_sleep(locked: DataServer) -> bool:
    """As `idle` says of it, but for the time; asked again under its lock."""
    steady = locked.awake and locked.state == DataServerState.RUNNING
    steady = steady and locked.generation == locked.observed_generation
    return steady and not any(needing.filter(**{cloud: locked.cloud_id}).exists() for needing, cloud in _needing())


def lie_down(locked: DataServer) -> None:
    """No gate leads to it any more: it may be stopped. In the transaction that locked it."""
    changes = {"awake": False, "upstream": "", "generation": F("generation") + 1}
    DataServer.objects.filter(pk=locked.pk).update(**changes)
    feed.data_changed(locked.cloud_id)
    enqueue_data_server(locked.pk)


def _needing() -> "tuple[tuple[QuerySet[Any], str], ...]":
    """What a data server must be awake for, with the way from it to the cloud: instances that run, transfers, collections
    that it is to delete, and exports, which it forgets when it stops."""
    kept = timezone.now() - EXPORT_KEPT
    return (
        (Instance.objects.filter(state__in=HOLDING_COMPUTE), "cloud"),
        (Operation.objects.filter(kind__in=KINDS, state__in=steps.OPEN), "cloud"),
        (Collection.objects.filter(state=CollectionState.REMOVING), "cloud"),
        (Export.objects.filter(ended_at__isnull=True, made_at__gt=kept), "collection__cloud"),
    )
