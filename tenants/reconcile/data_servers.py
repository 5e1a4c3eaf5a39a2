"""The data server of a cloud: that it runs, and that it knows the collections, keys and limits that rows say.

It runs as the cluster runs any instance. What it must know is handed over whole each time, so a lost answer costs nothing.
"""

import json
import logging
from datetime import timedelta
from typing import Any

import httpx
from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from k8s.errors import ClusterError, NotFound, Temporary
from k8s.specs import InstanceSpec, InstanceStatus, MicroPhase
from tenants import feed, logs
from tenants.live import announce
from tenants.models import Cloud, Collection, DataServer
from tenants.reconcile import cluster, data_admin, fullness
from tenants.reconcile.advisory import held
from tenants.reconcile.specs import cloud_spec, data_server_spec, is_wanted
from tenants.states import HELD, CloudState, CollectionState, DataServerState, move

log = logging.getLogger(__name__)
RETRY_AFTER = timedelta(seconds=30)
_CARED_FOR = (CloudState.ACTIVE, *HELD, CloudState.CLOSING)


def program() -> str | None:
    """Digest of what data servers run; None before it was packed, and where none are run."""
    if not settings.DATA_SERVERS:
        return None
    try:
        return str(json.loads(settings.DATA_PROGRAM.read_text())["digest"])
    except FileNotFoundError:
        return None


def unsettled() -> "QuerySet[DataServer]":
    """What the sweep must look at: behind, due for another try, another program, or not as its cloud's state wants it."""
    behind = Q(observed_generation__lt=F("generation")) & ~Q(state=DataServerState.FAILED)
    again = Q(state=DataServerState.FAILED, retry_at__lte=timezone.now())
    wrong = Q(cloud__state=CloudState.ACTIVE, awake=True, state=DataServerState.STOPPED)
    wrong |= ~Q(cloud__state=CloudState.ACTIVE) & ~Q(state=DataServerState.STOPPED) & Q(needed_until__isnull=True)
    wrong |= lapsed()
    if program() is None:  # nothing can be started; what never ran and is not to run is over
        behind &= ~Q(cloud__state=CloudState.ACTIVE)
    other = ~Q(program=program() or "") & Q(state=DataServerState.RUNNING)
    rows = DataServer.objects.filter(cloud__state__in=_CARED_FOR, cloud__observed_generation__gt=0)
    return rows.filter(behind | again | wrong | other)


def reconcile(server_id: str, *, altered: bool = False) -> bool:
    """Compare what is wanted of the data server with what is there, and take the next step. Returns without waiting.

    altered: what was applied may not be there any more. False: the caller must come back.
    """
    with held(f"data:{server_id}") as mine:
        if not mine:
            return False
        server = DataServer.objects.select_related("cloud__plan").filter(pk=server_id).first()
        if server is None or server.cloud.state not in _CARED_FOR:
            return True
        logs.also(cloud=server.cloud_id)
        digest = program()
        if digest is None and not is_wanted(server) and not server.program:
            _write(server, DataServerState.STOPPED, "", "", observed_generation=server.generation)
            return True  # it never ran
        if digest is None:
            log.info("data_program_missing cloud=%s", server.cloud_id)
            return True  # the sweep comes back when it is there
        return _reconcile(_turned(_tried_again(server)), digest, altered)


def _reconcile(server: DataServer, digest: str, altered: bool) -> bool:
    try:
        _converge(server, digest, altered)
    except Temporary as error:
        log.warning("data_server_waits cloud=%s why=%s", server.cloud_id, error)
        return False
    except (ClusterError, ValueError) as error:
        log.error("data_server_failed cloud=%s why=%s", server.cloud_id, error)
        _write(server, DataServerState.FAILED, "", str(error))
    return True


def _tried_again(server: DataServer) -> DataServer:
    """One that failed gets a new generation when it is time: the cluster then starts it afresh."""
    if server.state == DataServerState.FAILED and server.retry_at and server.retry_at <= timezone.now():
        changes = {"generation": F("generation") + 1, "retry_at": None}
        DataServer.objects.filter(pk=server.pk, retry_at=server.retry_at).update(**changes)
        server.refresh_from_db(fields=["generation", "retry_at"])
    return server


def lapsed() -> Q:
    """Up for an owner who has had time enough to fetch everything, or whose cloud is open again."""
    return Q(needed_until__lte=timezone.now()) | Q(needed_until__isnull=False, cloud__state=CloudState.ACTIVE)


def _turned(server: DataServer) -> DataServer:
    """One that has lapsed, or does not run as its cloud's state wants it, gets a new generation: the cluster then stops or
    starts it, and it hears of its keys again."""
    settled = Q(observed_generation=F("generation"), needed_until__isnull=True)
    is_open = Q(cloud__state=CloudState.ACTIVE)
    wrong = Q(state=DataServerState.RUNNING) & ~is_open | Q(state=DataServerState.STOPPED, awake=True) & is_open
    rows = DataServer.objects.filter(lapsed() | settled & wrong, pk=server.pk)
    if DataServer.objects.filter(pk__in=rows).update(needed_until=None, generation=F("generation") + 1):
        server.refresh_from_db(fields=["generation", "needed_until"])
    return server


def _converge(server: DataServer, digest: str, altered: bool) -> None:
    spec = data_server_spec(server, digest)
    status = _observed(server)
    if altered or status is None or status.generation != spec.generation or digest != server.program:
        _apply(server, spec)
        status = _observed(server)
    if status is None and spec.replicas == 0:
        _write(server, DataServerState.STOPPED, "", "", observed_generation=server.generation)
        return
    if status is not None and status.generation == spec.generation:  # else the cluster has not acted on it yet
        _settle(server, spec, status, digest)


def _settle(server: DataServer, spec: InstanceSpec, status: InstanceStatus, digest: str) -> None:
    micro = status.micros[0]
    if spec.replicas == 0:
        if micro.phase is MicroPhase.STOPPED:
            _write(server, DataServerState.STOPPED, "", "", observed_generation=server.generation, program=digest)
        elif server.upstream:
            _write(server, DataServerState(server.state), "", "")
    elif status.failed:
        if server.state != DataServerState.FAILED or server.retry_at is None:  # else known, and tried again then
            _write(server, DataServerState.FAILED, "", micro.reason or "It stopped and did not start again.")
    elif status.ready and micro.upstream:
        _running(server, micro.upstream, digest)
    elif server.upstream and server.upstream != micro.upstream:
        # A process that is gone: what is held at the gate waits for the next one.
        _write(server, DataServerState.STARTING, "", "")


def _running(server: DataServer, upstream: str, digest: str) -> None:
    settled = server.state == DataServerState.RUNNING and server.observed_generation == server.generation
    if settled and (server.upstream, server.program) == (upstream, digest):
        return
    with data_admin.connected(server.cloud_id, upstream) as client:
        gone = _hand_over(server, client)
    limit = fullness.limit_bytes(server.cloud)
    changes = {"observed_generation": server.generation, "program": digest, "limit_bytes": limit}
    with transaction.atomic():
        Collection.objects.filter(pk__in=gone, state=CollectionState.REMOVING).delete()
        _write(server, DataServerState.RUNNING, upstream, "", **changes)


def _hand_over(server: DataServer, client: httpx.Client) -> list[str]:
    """Tell it all that rows say; returns the rows whose data it has deleted. What it has and no row knows it keeps: after
    the database came back from a backup that may be somebody's."""
    gone = []
    data_admin.ask(client, "PUT", "quota", {"limit_bytes": fullness.limit_bytes(server.cloud)})
    for collection in server.cloud.collections.prefetch_related("keys"):
        path = f"collections/{collection.project_id}"
        if collection.state == CollectionState.REMOVING:
            data_admin.ask(client, "DELETE", path)
            gone.append(collection.pk)
        else:
            data_admin.ask(client, "PUT", path, _wanted(collection, server.cloud))
    return gone


def _wanted(collection: Collection, cloud: Cloud) -> data_admin.Document:
    if cloud.state != CloudState.ACTIVE:  # it is up so that its owner can leave: nobody but the provider gets in
        return {"name": collection.name}
    keys = [{"id": key.pk, "name": key.name, "sha256": key.sha256} for key in collection.keys.all()]
    instances = []
    if collection.instance_id:
        instances.append({"instance": collection.instance_id, "version": collection.key_version})
    return {"name": collection.name, "keys": keys, "instances": instances}


def _observed(server: DataServer) -> InstanceStatus | None:
    try:
        return cluster.of(server.cloud.cell_id).observe(server.cloud_id, server.pk)
    except NotFound:
        return None


def _apply(server: DataServer, spec: InstanceSpec) -> None:
    there = cluster.of(server.cloud.cell_id)
    if spec.replicas:  # an older version's namespace has neither the policies nor the room
        there.ensure_cloud(cloud_spec(server.cloud))
    try:
        there.apply_instance(spec)
    except NotFound:
        if spec.replicas:  # never makes a namespace that may be on its way out
            there.ensure_cloud(cloud_spec(server.cloud))
            there.apply_instance(spec)


@transaction.atomic
def _write(server: DataServer, state: DataServerState, upstream: str, reason: str, **changes: Any) -> None:
    """Write down what was seen. A generation that came meanwhile stays ahead of observed_generation."""
    row = DataServer.objects.select_for_update(no_key=True).get(pk=server.pk)
    changes |= {"upstream": upstream, "state_reason": reason[:2000]}
    changes["retry_at"] = timezone.now() + RETRY_AFTER if state == DataServerState.FAILED else None
    if row.state != state:
        move(row, state, **changes)
    else:
        DataServer.objects.filter(pk=row.pk).update(**changes)
    feed.data_changed(row.cloud_id)
    announce(row.cloud_id, row.pk)
