"""What tests of use-cases stand on: people, published apps, and a cluster in memory that can be told to misbehave."""

import io
import itertools
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from PIL import Image

from apps_catalog.models import App, Release, Revision
from k8s.errors import ClusterError, NotFound
from k8s.specs import (
    BuildSpec,
    BuiltMicro,
    Change,
    CloudSpec,
    CloudUsage,
    InstanceSpec,
    InstanceStatus,
    JobPhase,
    JobSpec,
    JobStatus,
    JobTask,
    LogLine,
    MicroKind,
    MicroPhase,
    MicroStatus,
    Sample,
)
from tenants.models import Cloud, User
from tenants.reconcile import builds, clouds, data_servers, instances, transfers, unsettled
from tenants.services import accounts, builder, publish

_numbers = itertools.count(1)
PASSWORD = "Corr3ct-horse-battery"
SPACEFILE = "v: 0\nmicros:\n  - name: main\n    src: .\n    engine: python3.9\n    primary: true\n"


class MemoryCluster:
    """Keeps specs in dictionaries. `phase` is what every micro is in; `calls` counts verbs that change something.
    `broken` are versions of apps that do not start. `commands` are the jobs of instances that it keeps, `ran` the
    command lines of all that ever began, with the replicas that were running beside each; all are in
    `command_phase`. `copied` are the tasks about copies of volumes, in the same way; those in `copies_fail` fail.

    `break_before` and `break_after` name verbs that raise the given error once, before or after they took effect.
    """

    def __init__(self) -> None:
        self.clouds: dict[str, CloudSpec] = {}
        self.specs: dict[str, InstanceSpec] = {}
        self.jobs: dict[str, JobStatus] = {}
        self.commands: dict[str, JobSpec] = {}
        self.command_phase = JobPhase.SUCCEEDED
        self.ran: list[tuple[str, int]] = []
        self.copied: list[tuple[str, int]] = []
        self.copies_fail: set[str] = set()
        self.volumes: set[str] = set()
        self.phase = MicroPhase.READY
        self.broken: set[str] = set()
        self.job_phase = JobPhase.SUCCEEDED
        self.lingers = False
        self.held_by = ""
        self.calls: list[str] = []
        self.break_before: dict[str, list[BaseException]] = {}
        self.break_after: dict[str, list[BaseException]] = {}

    def _call(self, verb: str) -> None:
        if self.break_before.get(verb):
            raise self.break_before[verb].pop(0)
        self.calls.append(verb)

    def _called(self, verb: str) -> None:
        if self.break_after.get(verb):
            raise self.break_after[verb].pop(0)

    def ensure_cloud(self, spec: CloudSpec) -> None:
        self._call("ensure_cloud")
        self.clouds[spec.cloud_id] = spec
        self._called("ensure_cloud")

    def cloud_exists(self, cloud_id: str) -> bool:
        return cloud_id in self.clouds

    def delete_cloud(self, cloud_id: str) -> None:
        self._call("delete_cloud")
        if not self.lingers:
            self.clouds.pop(cloud_id, None)
            inside = {spec.instance_id for spec in self.specs.values() if spec.cloud_id == cloud_id}
            self.volumes -= inside
            self.specs = {key: spec for key, spec in self.specs.items() if key not in inside}
        self._called("delete_cloud")

    def what_holds(self, cloud_id: str) -> str:
        return self.held_by

    def apply_instance(self, spec: InstanceSpec) -> bool:
        self._call("apply_instance")
        if spec.cloud_id not in self.clouds:
            raise NotFound(f"no cloud {spec.cloud_id}")
        known = self.specs.get(spec.instance_id)
        if known is None or known.generation <= spec.generation:
            self.specs[spec.instance_id] = spec
        if spec.volume:
            self.volumes.add(spec.instance_id)
        self._called("apply_instance")
        return known != spec

    def delete_instance(self, cloud_id: str, instance_id: str, *, delete_volume: bool) -> None:
        self._call("delete_instance")
        self._forget_commands(instance_id)
        if not self.lingers:
            self.specs.pop(instance_id, None)
        if delete_volume:
            self.volumes.discard(instance_id)
        self._called("delete_instance")

    def instance_exists(self, cloud_id: str, instance_id: str) -> bool:
        return instance_id in self.specs

    def observe(self, cloud_id: str, instance_id: str) -> InstanceStatus:
        if self.break_before.get("observe"):
            raise self.break_before["observe"].pop(0)
        spec = self.specs.get(instance_id)
        if spec is None:
            raise NotFound(instance_id)
        is_broken = any(micro.env.get("DETA_SPACE_APP_VERSION") in self.broken for micro in spec.micros)
        phase = (MicroPhase.FAILED if is_broken else self.phase) if spec.replicas else MicroPhase.STOPPED
        ready, failed = phase is MicroPhase.READY, phase is MicroPhase.FAILED
        micros = tuple(
            MicroStatus(
                micro.name,
                phase,
                upstream=f"10.0.0.{number}:8080" if ready and micro.kind is MicroKind.PROCESS else None,
                reason="It does not listen on its port." if failed else "",
                log_tail="Traceback\nValueError: no" if failed else "",
            )
            for number, micro in enumerate(spec.micros, 1)
        )
        return InstanceStatus(instance_id, cloud_id, spec.generation, spec.restart, micros)

    def list_instances(self) -> list[tuple[str, str]]:
        return [(spec.cloud_id, spec.instance_id) for spec in self.specs.values()]

    def watch(self, timeout_s: float, *, resume: bool = False) -> Iterator[Change]:
        return iter(())

    def logs(
        self, cloud_id: str, instance_id: str, *, micro: str | None = None, tail: int = 200, follow: bool = False
    ) -> Iterator[LogLine]:
        return iter(())

    def run_build(self, spec: BuildSpec) -> None:
        self._call("run_build")
        if spec.cloud_id not in self.clouds:
            raise NotFound(spec.cloud_id)
        micros = tuple(
            BuiltMicro(
                m.name,
                MicroKind.PROCESS if m.serve is None else MicroKind.STATIC,
                m.engine,
                f"{m.name}/app",
                "run",
                m.serve,
            )
            for m in spec.micros
        )
        built = JobStatus(
            spec.job_id, spec.cloud_id, JobPhase.SUCCEEDED, "sha256:" + "a" * 64, 1234, micros, "It does not compile."
        )
        self.jobs.setdefault(spec.job_id, built)
        self._called("run_build")

    def build_status(self, cloud_id: str, job_id: str) -> JobStatus:
        if job_id not in self.jobs:
            raise NotFound(job_id)
        return replace(self.jobs[job_id], phase=self.job_phase)

    def build_logs(self, cloud_id: str, job_id: str, *, follow: bool = False) -> Iterator[LogLine]:
        return iter([LogLine("", "main", "err", f"line {n}") for n in range(50)])

    def delete_build(self, cloud_id: str, job_id: str) -> None:
        self.jobs.pop(job_id, None)

    def run_job(self, spec: JobSpec) -> None:
        self._call("run_job")
        if spec.instance.cloud_id not in self.clouds:
            raise NotFound(spec.instance.cloud_id)
        if spec.task is not JobTask.COMMAND and spec.job_id not in self.commands:
            running = self.specs.get(spec.instance.instance_id)
            self.copied.append((spec.task.value, running.replicas if running else 0))
        elif spec.job_id not in self.commands:
            running = self.specs.get(spec.instance.instance_id)
            self.ran.append((spec.command, running.replicas if running else 0))
        self.commands.setdefault(spec.job_id, spec)
        self._called("run_job")

    def job_status(self, cloud_id: str, job_id: str) -> JobStatus:
        if job_id not in self.commands:
            raise NotFound(job_id)
        task = self.commands[job_id].task
        if task is not JobTask.COMMAND:
            phase = JobPhase.FAILED if task in self.copies_fail else JobPhase.SUCCEEDED
            return JobStatus(job_id, cloud_id, phase, reason="the machine has no room")
        tail = "no such table" if self.command_phase is JobPhase.FAILED else ""
        return JobStatus(job_id, cloud_id, self.command_phase, reason="exited with code 1", log_tail=tail)

    def delete_jobs(self, cloud_id: str, instance_id: str) -> bool:
        self._forget_commands(instance_id)
        return True

    def _forget_commands(self, instance_id: str) -> None:
        left = {job: spec for job, spec in self.commands.items() if spec.instance.instance_id != instance_id}
        self.commands = left

    def usage(self, cloud_id: str) -> CloudUsage:
        raise ClusterError("not measured")

    def samples(self) -> list[Sample]:
        return []


def new_person(name: str = "person") -> User:
    number = next(_numbers)
    return accounts.register(f"{name}{number}@example.org", f"{name}{number}", PASSWORD)


def active_person(cluster: MemoryCluster, name: str = "person") -> User:
    user = new_person(name)
    clouds.reconcile(user.cloud.pk)
    user.refresh_from_db()
    return User.objects.get(pk=user.pk)


def picture(kind: str = "PNG", width: int = 1280, height: int = 800) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(out, kind)
    return out.getvalue()


def zipped(files: dict[str, str | bytes]) -> io.BytesIO:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)  # with one date: the same files are the same bytes
    made.seek(0)
    return made


def uploaded(developer: User, app: App, spacefile: str = SPACEFILE, **files: str | bytes) -> Revision:
    content: dict[str, str | bytes] = {"Spacefile": spacefile, "main.py": "app = None\n", **files}
    return publish.upload_revision(developer, app, zipped(content))[0]


def released(cluster: MemoryCluster, spacefile: str = SPACEFILE, **release: Any) -> Release:
    """An app of a developer of its own, built and released unlisted."""
    developer = active_person(cluster, "dev")
    app = publish.create_project(developer, "Some App")
    revision = uploaded(developer, app, spacefile, **{"site/index.html": "hello"})
    builds.reconcile(revision.pk)
    return publish.publish_release(developer, app, revision_id=revision.pk, **release)


def settle() -> None:
    """What the worker does when the sweep has told it everything; as often as needed."""
    for _ in range(5):
        for cloud_id in unsettled.clouds():
            clouds.reconcile(cloud_id)
        for instance_id in unsettled.instances():
            instances.reconcile(instance_id)
        for server_id in unsettled.data_servers():
            data_servers.reconcile(server_id)
        for revision_id in unsettled.builds():
            builds.reconcile(revision_id)
        for operation_id in unsettled.transfers():
            transfers.reconcile(operation_id)


def place() -> None:
    """What the worker does with built revisions: into their developers' own copies, until these run."""
    for revision_id in unsettled.placements():
        builder.place_revision(revision_id)
    settle()


def cloud_of(user: User) -> Cloud:
    return Cloud.objects.select_related("plan").get(owner=user)
