"""What an app wants to have run before a newer version of it takes over: once, by its commands' own success.

All of it is read from the cluster: which commands have run is in their jobs, which stay until the row says that all have. A
worker that is killed at any point finds them there. (A machine that fails in the middle of one begins it again; whoever
writes a migration must allow for that, as for every migration.)

With a volume the older version is stopped first: two must never write to one, and what is migrated must hold still. Then a
copy of the volume is made where the cluster can: if anything of the update fails, the copy takes the volume's place before
the older version starts; once the newer one runs, it is deleted. These are jobs, too.
"""

from dataclasses import dataclass

from django.db import transaction
from django.db.models import F

from k8s.errors import NotFound
from k8s.specs import JobPhase, JobSpec, JobStatus, JobTask
from tenants import feed, steps
from tenants.live import announce
from tenants.models import Instance, Operation
from tenants.reconcile import cluster
from tenants.reconcile.specs import cloud_spec


@dataclass(frozen=True)
class Failed:
    """A command did not succeed. reason: a sentence for the owner."""

    reason: str
    log_tail: str


def advance(instance: Instance, operation: Operation | None, jobs: list[JobSpec]) -> bool | Failed:
    """Take the next step towards the end of `jobs`, the instance's; True when all have succeeded. Repeating it is safe.

    False: the cluster is at work, and its change brings us back.
    """
    for number, job in enumerate(jobs):
        name = "migrate" if job.task is JobTask.COMMAND else "keep"
        steps.start(operation, name)
        status = _status(instance, job)
        if status is None:
            # What an earlier migration left, or one that something newer overtook, ends first.
            if number or clear(instance):
                _run(instance, job)
            return False
        if status.phase is JobPhase.FAILED:
            return Failed(_sentence(job, status), status.log_tail)
        if status.phase is not JobPhase.SUCCEEDED:
            return False
        if job.task is not JobTask.COMMAND:
            steps.finish(operation, name)
    return True


def note_done(instance: Instance) -> bool:
    """Nothing is due any more, and the version is applied as something new. False: another one is wanted by now."""
    with transaction.atomic():
        rows = Instance.objects.filter(pk=instance.pk, migration=instance.migration, generation=instance.generation)
        return bool(rows.update(migration="", generation=F("generation") + 1))


def note_returned(instance: Instance) -> bool:
    """The volume is again what it was before the update that failed; as `note_done` says."""
    with transaction.atomic():
        rows = Instance.objects.filter(pk=instance.pk, copy_returns=True, generation=instance.generation)
        return bool(rows.update(copy_returns=False, copy_id="", generation=F("generation") + 1))


def note_forgotten(instance: Instance) -> None:
    Instance.objects.filter(pk=instance.pk, copy_id=instance.copy_id, copy_returns=False).update(copy_id="")


def clear(instance: Instance) -> bool:
    """Forget the jobs of whatever migration. True once none is left that could write to the instance's data."""
    return cluster.of(instance.cloud.cell_id).delete_jobs(instance.cloud_id, instance.pk)


def note_stopped(instance: Instance) -> None:
    """The older version does not serve any more: nobody is to be led to where it was."""
    with transaction.atomic():
        if instance.micros.exclude(upstream="").update(upstream="", phase="stopped"):
            feed.changed(instance.pk)
            announce(instance.cloud_id, instance.pk)


def _status(instance: Instance, job: JobSpec) -> JobStatus | None:
    try:
        return cluster.of(instance.cloud.cell_id).job_status(instance.cloud_id, job.job_id)
    except NotFound:
        return None


def _run(instance: Instance, job: JobSpec) -> None:
    there = cluster.of(instance.cloud.cell_id)
    try:
        there.run_job(job)
    except NotFound:  # the namespace was lost; its row exists, so it is ours to make again
        there.ensure_cloud(cloud_spec(instance.cloud))
        there.run_job(job)


def _sentence(job: JobSpec, status: JobStatus) -> str:
    if job.task is JobTask.KEEP:
        return f"A copy of its data could not be made: {status.reason}. Nothing was changed."
    if job.task is not JobTask.COMMAND:
        return f"Its data of before the update could not be given back: {status.reason}. Retry tries again."
    whose = f" of “{job.micro}”" if len(job.instance.micros) > 1 else ""
    return f"Its migration{whose} ({job.command[:80]}) {status.reason}."
