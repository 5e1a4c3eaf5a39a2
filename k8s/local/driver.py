"""The cluster port on one machine: writes spec files for the node agent, reads the status and log files it writes.

Nothing here waits for the agent, except `watch`, `usage` and `samples`. While it is down specs are accepted, and answers are
the last known.
"""

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

from k8s.checks import check_shape, require_id
from k8s.errors import NotFound, Permanent, Temporary
from k8s.local import artifacts, documents, logfiles, sandbox_volume
from k8s.local.documents import BuildDocument, CloudDocument, InstanceDocument, JobDocument
from k8s.local.layout import NodeHome, network_plan
from k8s.local.sandbox_bwrap import reserved
from k8s.specs import (
    BuildSpec,
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
    MicroPhase,
    MicroStatus,
    Sample,
)

_ANSWER_S = 5.0
_Answer = TypeVar("_Answer")


def from_url(url: str) -> "LocalCluster":
    """`local:///node/home?socket=/run/node.sock&store=/store`, all paths absolute. Raises Permanent when one is missing."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    paths = [parts.path, *(query.get(name, [""])[0] for name in ("socket", "store"))]
    if parts.netloc or not all(path.startswith("/") and len(path) > 1 for path in paths):
        raise Permanent("a local cluster's URL is local:///NODE/HOME?socket=/PATH&store=/PATH with absolute paths")
    home, sock, store = map(Path, paths)
    return LocalCluster(home, sock, store)


class LocalCluster:
    """See k8s.cluster.Cluster for what every verb promises."""

    def __init__(self, home: Path, socket: Path, store: Path) -> None:
        self._home = NodeHome(home)
        self._socket = socket
        self._store = store

    def ensure_cloud(self, spec: CloudSpec) -> None:
        require_id(spec.cloud_id)
        with documents.locked(self._home.cloud_lock(spec.cloud_id)):
            known = self._cloud(spec.cloud_id)
            if known and known.deleting:
                raise Temporary(f"the cloud {spec.cloud_id} is still being removed", retry_after_s=1)
            if known and known.spec == spec:
                return
            uid = known.uid if known else self._next_uid()
            documents.write(self._home.cloud_document(spec.cloud_id), CloudDocument(spec, uid))
        self._poke(spec.cloud_id)

    def cloud_exists(self, cloud_id: str) -> bool:
        return self._cloud(cloud_id) is not None

    def delete_cloud(self, cloud_id: str) -> None:
        with documents.locked(self._home.cloud_lock(require_id(cloud_id))):
            known = self._cloud(cloud_id)
            if known is None or known.deleting:
                return
            documents.write(self._home.cloud_document(cloud_id), replace(known, deleting=True))
        self._poke(cloud_id)

    def what_holds(self, cloud_id: str) -> str:
        return ""  # the agent ends and deletes by itself, and asks nobody

    def apply_instance(self, spec: InstanceSpec) -> bool:
        _check(spec)
        file = self._home.instance_document(spec.cloud_id, spec.instance_id)
        with documents.locked(self._home.cloud_lock(spec.cloud_id)):
            self._require_cloud(spec.cloud_id)
            known = documents.read(file, InstanceDocument)
            if known and known.deleting:
                raise Temporary(f"the instance {spec.instance_id} is still being removed", retry_after_s=1)
            if known and known.spec and (known.spec.generation > spec.generation or known.spec == spec):
                return False
            documents.write(file, InstanceDocument(spec))
        self._poke(spec.cloud_id, spec.instance_id)
        return True

    def delete_instance(self, cloud_id: str, instance_id: str, *, delete_volume: bool) -> None:
        file = self._home.instance_document(require_id(cloud_id), require_id(instance_id))
        with documents.locked(self._home.cloud_lock(cloud_id)):
            self._end_jobs(cloud_id, instance_id)
            known = documents.read(file, InstanceDocument)
            if known is None and not self._has_volume(cloud_id, instance_id, wanted=delete_volume):
                return
            known = known or InstanceDocument(None)
            wanted = InstanceDocument(known.spec, deleting=True, delete_volume=known.delete_volume or delete_volume)
            if wanted == known:
                return
            documents.write(file, wanted)
        self._poke(cloud_id, instance_id)

    def instance_exists(self, cloud_id: str, instance_id: str) -> bool:
        known = documents.read(self._home.instance_document(cloud_id, instance_id), InstanceDocument)
        return known is not None and known.spec is not None or bool(self._jobs_of(cloud_id, instance_id))

    def observe(self, cloud_id: str, instance_id: str) -> InstanceStatus:
        status = documents.read(self._home.instance_status(cloud_id, instance_id), InstanceStatus)
        known = documents.read(self._home.instance_document(cloud_id, instance_id), InstanceDocument)
        if known is None or known.spec is None:
            raise NotFound(f"no instance {instance_id} in the cloud {cloud_id}")
        return status or _unseen(known.spec)

    def list_instances(self) -> list[tuple[str, str]]:
        files = sorted(self._home.clouds.glob("*/instances/*.json"))
        found = [(file.parent.parent.name, file.stem) for file in files if not file.name.startswith(".")]
        return [(cloud, instance) for cloud, instance in found if self.instance_exists(cloud, instance)]

    def watch(self, timeout_s: float, *, resume: bool = False) -> Iterator[Change]:
        deadline = time.monotonic() + timeout_s
        with self._connected() as link:
            link.sendall(b'{"verb": "watch"}\n')
            rest = b""
            while (left := deadline - time.monotonic()) > 0:
                link.settimeout(left)
                try:
                    chunk = link.recv(65_536)
                except TimeoutError:
                    return
                if not chunk:
                    raise Temporary("the node agent closed the watch", retry_after_s=1)
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    if line:  # empty lines only show that the agent lives
                        yield documents.decode(Change, json.loads(line))

    def logs(
        self,
        cloud_id: str,
        instance_id: str,
        *,
        micro: str | None = None,
        tail: int = 200,
        follow: bool = False,
        stop: Callable[[], bool] | None = None,
    ) -> Iterator[LogLine]:
        known = documents.read(self._home.instance_document(cloud_id, instance_id), InstanceDocument)
        if known is None or known.spec is None:
            raise NotFound(f"no instance {instance_id} in the cloud {cloud_id}")
        names = [m.name for m in known.spec.micros if micro in (None, m.name)]
        if not names:
            raise NotFound(f"the instance {instance_id} has no micro “{micro}”")
        sources = {name: self._home.micro_log(cloud_id, instance_id, name) for name in names}
        if not follow:
            return iter(logfiles.merged((logfiles.tail(f, name, tail) for name, f in sources.items()), tail))
        return logfiles.follow(sources, tail, lambda: not self.instance_exists(cloud_id, instance_id), stop)

    def run_build(self, spec: BuildSpec) -> None:
        require_id(spec.job_id)
        artifacts.path_of(self._store, spec.source)
        file = self._home.build_document(require_id(spec.cloud_id), spec.job_id)
        with documents.locked(self._home.cloud_lock(spec.cloud_id)):
            self._require_cloud(spec.cloud_id)
            known = documents.read(file, BuildDocument)
            if known and known.deleting:
                raise Temporary(f"the build {spec.job_id} is still being removed", retry_after_s=1)
            if known:
                return
            documents.write(file, BuildDocument(spec))
        self._poke(spec.cloud_id, job=spec.job_id)

    def build_status(self, cloud_id: str, job_id: str) -> JobStatus:
        status = documents.read(self._home.build_status(cloud_id, job_id), JobStatus)
        self._require_build(cloud_id, job_id)
        return status or JobStatus(job_id, cloud_id, JobPhase.PENDING)

    def build_logs(
        self, cloud_id: str, job_id: str, *, follow: bool = False, stop: Callable[[], bool] | None = None
    ) -> Iterator[LogLine]:
        self._require_build(cloud_id, job_id)
        source = self._home.build_log(cloud_id, job_id)
        if not follow:
            return iter(logfiles.tail(source, "build", 1_000_000))
        return logfiles.follow({"build": source}, 1_000_000, lambda: self._build_over(cloud_id, job_id), stop)

    def delete_build(self, cloud_id: str, job_id: str) -> None:
        file = self._home.build_document(require_id(cloud_id), require_id(job_id))
        with documents.locked(self._home.cloud_lock(cloud_id)):
            known = documents.read(file, BuildDocument)
            if known is None or known.deleting:
                return
            documents.write(file, replace(known, deleting=True))
        self._poke(cloud_id, job=job_id)

    def run_job(self, spec: JobSpec) -> None:
        require_id(spec.job_id)
        _check(spec.instance)
        if spec.micro not in {micro.name for micro in spec.instance.micros}:
            raise Permanent(f"the instance has no micro “{spec.micro}”")
        if spec.task is not JobTask.COMMAND:
            require_id(spec.copy_id)
        cloud_id = spec.instance.cloud_id
        file = self._home.job_document(cloud_id, spec.job_id)
        with documents.locked(self._home.cloud_lock(cloud_id)):
            self._require_cloud(cloud_id)
            known = documents.read(file, JobDocument)
            if known and known.deleting:
                raise Temporary(f"the job {spec.job_id} is still being removed", retry_after_s=1)
            if known:
                return
            documents.write(file, JobDocument(spec))
        self._poke(cloud_id, job=spec.job_id)

    def job_status(self, cloud_id: str, job_id: str) -> JobStatus:
        status = documents.read(self._home.job_status(cloud_id, require_id(job_id)), JobStatus)
        known = documents.read(self._home.job_document(cloud_id, job_id), JobDocument)
        if known is None or known.deleting:
            raise NotFound(f"no job {job_id} in the cloud {cloud_id}")
        return status or JobStatus(job_id, cloud_id, JobPhase.PENDING)

    def delete_jobs(self, cloud_id: str, instance_id: str) -> bool:
        require_id(instance_id)
        with documents.locked(self._home.cloud_lock(require_id(cloud_id))):
            self._end_jobs(cloud_id, instance_id)
        return not self._jobs_of(cloud_id, instance_id)

    def usage(self, cloud_id: str) -> CloudUsage:
        if not self.cloud_exists(cloud_id):
            raise NotFound(f"no cloud {cloud_id}")
        answers = self._ask(CloudUsage, {"verb": "usage", "cloud_id": cloud_id})
        if not answers:
            raise Temporary("the node agent did not answer", retry_after_s=1)
        return answers[0]

    def samples(self) -> list[Sample]:
        return self._ask(Sample, {"verb": "samples"})

    def _ask(self, kind: type[_Answer], question: dict[str, str]) -> list[_Answer]:
        """Every line of the agent's answer. Raises Temporary."""
        with self._connected() as link:
            link.settimeout(_ANSWER_S)
            try:
                link.sendall(json.dumps(question).encode() + b"\n")
                return [documents.decode(kind, json.loads(line)) for line in link.makefile()]
            except (OSError, ValueError) as error:
                raise Temporary("the node agent did not answer", retry_after_s=1) from error

    def _cloud(self, cloud_id: str) -> CloudDocument | None:
        return documents.read(self._home.cloud_document(cloud_id), CloudDocument)

    def _require_cloud(self, cloud_id: str) -> None:
        cloud = self._cloud(cloud_id)
        if cloud is None or cloud.deleting:
            raise NotFound(f"no cloud {cloud_id}")

    def _require_build(self, cloud_id: str, job_id: str) -> None:
        known = documents.read(self._home.build_document(cloud_id, job_id), BuildDocument)
        if known is None or known.deleting:
            raise NotFound(f"no build {job_id} in the cloud {cloud_id}")

    def _build_over(self, cloud_id: str, job_id: str) -> bool:
        try:
            return self.build_status(cloud_id, job_id).phase in (JobPhase.SUCCEEDED, JobPhase.FAILED)
        except NotFound:
            return True

    def _jobs_of(self, cloud_id: str, instance_id: str) -> dict[Path, JobDocument]:
        return documents.jobs_of(self._home.jobs(cloud_id), instance_id)

    def _end_jobs(self, cloud_id: str, instance_id: str) -> None:
        """The caller holds the cloud's lock."""
        for file, job in self._jobs_of(cloud_id, instance_id).items():
            if not job.deleting:
                documents.write(file, replace(job, deleting=True))
                self._poke(cloud_id, job=job.spec.job_id)

    def _has_volume(self, cloud_id: str, instance_id: str, *, wanted: bool) -> bool:
        return (
            wanted and self.cloud_exists(cloud_id) and sandbox_volume.exists(self._home.volume(cloud_id, instance_id))
        )

    def _next_uid(self) -> int:
        """Users are never given out twice: files of a cloud that is gone must not become another's."""
        counter = self._home.root / "next_uid.json"
        with documents.locked(self._home.clouds / ".uid.lock"):
            number = documents.read(counter, int) or 0
            documents.write(counter, number + 1)
        return network_plan(self._home.root).uid_base + number

    def _poke(self, cloud_id: str, instance: str | None = None, job: str | None = None) -> None:
        """A hint that something was written; the agent looks by itself every other second anyway."""
        hint: dict[str, Any] = {"verb": "poke", "cloud_id": cloud_id, "instance_id": instance, "job_id": job}
        with contextlib.suppress(Temporary, OSError), self._connected() as link:
            link.sendall(json.dumps(hint).encode() + b"\n")

    @contextlib.contextmanager
    def _connected(self) -> Iterator[socket.socket]:
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(_ANSWER_S)
            try:
                link.connect(str(self._socket))
            except OSError as error:
                raise Temporary("the node agent is not running", retry_after_s=2) from error
            yield link


def _unseen(spec: InstanceSpec) -> InstanceStatus:
    micros = tuple(MicroStatus(micro.name, MicroPhase.PENDING) for micro in spec.micros)
    return InstanceStatus(spec.instance_id, spec.cloud_id, 0, spec.restart, micros)


def _check(spec: InstanceSpec) -> None:
    """Raises Permanent for what can never run here."""
    check_shape(spec)
    for micro in spec.micros:
        if micro.image is not None:
            raise Permanent(
                f"the micro “{micro.name}” is an image (image: {micro.image}), which one machine cannot run"
            )
        if any("\0" in name + value or "=" in name or not name for name, value in micro.env.items()):
            raise Permanent(
                f"the environment of the micro “{micro.name}” holds a name or value that no process can have"
            )
    if spec.volume and reserved(spec.volume.path):
        raise Permanent(f"“{spec.volume.path}” cannot be a volume: it is relative or belongs to the sandbox")
