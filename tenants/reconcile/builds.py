"""A revision's row and the job that builds it, in the developer's own cloud."""

import logging
from dataclasses import asdict

from django.db import transaction

from apps_catalog.blueprint import spacefile_of
from apps_catalog.build import plan
from apps_catalog.models import Revision
from k8s.errors import ClusterError, NotFound, Temporary
from k8s.specs import JobPhase, JobStatus
from tenants import logs, steps
from tenants.live import announce
from tenants.models import Cloud, Operation, OperationKind
from tenants.reconcile import cluster
from tenants.reconcile.advisory import held
from tenants.reconcile.specs import build_spec, cloud_spec
from tenants.states import CloudState, RevisionState, move

log = logging.getLogger(__name__)
TAIL_LINES = 30
OVER = (RevisionState.READY, RevisionState.FAILED)


def reconcile(revision_id: str) -> list[str]:
    """Take the build's next step. Returns ids of revisions that may have waited for this one to end."""
    with held(f"revision:{revision_id}") as mine:
        revision = Revision.objects.filter(pk=revision_id).first() if mine else None
        operation = steps.current(revision=revision) if revision is not None else None
        if revision is None or operation is None or not steps.is_due(operation):
            return []
        logs.also(cloud=operation.cloud_id, operation=operation.pk)
        cloud = Cloud.objects.select_related("plan").get(pk=operation.cloud_id)
        if cloud.state != CloudState.ACTIVE:
            return []
        _step(cloud, revision, operation)
        return _waiting(cloud) if revision.state in OVER else []


def _step(cloud: Cloud, revision: Revision, operation: Operation) -> None:
    try:
        if not plan(spacefile_of(revision)):
            _without_a_job(cloud, revision, operation)
            return
        if revision.state == RevisionState.QUEUED and not _claim(cloud, revision):
            return
        steps.start(operation, "build")
        status = _job(cloud, revision)
        if status.phase is JobPhase.SUCCEEDED:
            steps.finish(operation, "build")
            steps.start(operation, "store")
            _ready(revision, operation, status)
        elif status.phase is JobPhase.FAILED:
            _failed(cloud, revision, operation, status.reason or "The build failed.")
    except Temporary as error:
        if not steps.postpone(operation, str(error), error.retry_after_s):
            _failed(cloud, revision, operation, str(error))
    except ClusterError as error:
        _failed(cloud, revision, operation, str(error))


@transaction.atomic
def _without_a_job(cloud: Cloud, revision: Revision, operation: Operation) -> None:
    """All its micros are images: there is nothing to build."""
    if revision.state == RevisionState.QUEUED:
        move(revision, RevisionState.BUILDING)
    _ready(revision, operation, JobStatus(revision.pk, cloud.pk, JobPhase.SUCCEEDED))


@transaction.atomic
def _claim(cloud: Cloud, revision: Revision) -> bool:
    """One of the cloud's places for builds, if one is free."""
    locked = Cloud.objects.select_for_update(no_key=True).get(pk=cloud.pk)  # its plan is read when it is locked
    building = Operation.objects.filter(
        cloud=locked, kind=OperationKind.BUILD, state__in=steps.OPEN, revision__state=RevisionState.BUILDING
    )
    if building.count() >= locked.allowance.builds:
        return False
    return move(revision, RevisionState.BUILDING)


def _job(cloud: Cloud, revision: Revision) -> JobStatus:
    there = cluster.of(cloud.cell_id)
    try:
        return there.build_status(cloud.pk, revision.pk)
    except NotFound:
        pass
    try:
        there.run_build(build_spec(cloud, revision))
    except NotFound:
        there.ensure_cloud(cloud_spec(cloud))
        there.run_build(build_spec(cloud, revision))
    return there.build_status(cloud.pk, revision.pk)


@transaction.atomic
def _ready(revision: Revision, operation: Operation, status: JobStatus) -> None:
    manifest = {"micros": [asdict(micro) for micro in status.micros]}
    move(
        revision,
        RevisionState.READY,
        digest=status.artifact or "",
        size_bytes=status.size_bytes,
        manifest=manifest,
    )
    steps.succeed(operation)
    announce(operation.cloud_id, revision.pk)


def _failed(cloud: Cloud, revision: Revision, operation: Operation, reason: str) -> None:
    tail = _tail(cloud, revision)
    with transaction.atomic():
        move(revision, RevisionState.FAILED, state_reason=reason, log_tail=tail)
        steps.fail(operation, reason)
        announce(operation.cloud_id, revision.pk)


def _tail(cloud: Cloud, revision: Revision) -> str:
    try:
        lines = [line.text for line in cluster.of(cloud.cell_id).build_logs(cloud.pk, revision.pk)]
    except ClusterError:
        return ""
    return "\n".join(lines[-TAIL_LINES:]).replace("\x00", "�")


def _waiting(cloud: Cloud) -> list[str]:
    queued = Operation.objects.filter(
        cloud=cloud, kind=OperationKind.BUILD, state__in=steps.OPEN, revision__state=RevisionState.QUEUED
    )
    return list(queued.order_by("created_at").values_list("revision_id", flat=True)[: cloud.allowance.builds])
