"""Commands of instances as Jobs: started, asked about, cleared."""

from collections.abc import Callable

from k8s import checks, naming
from k8s.bundles import tokens
from k8s.bundles.tokens import Bearer, Kind
from k8s.cell import Cell
from k8s.errors import NotFound, Permanent
from k8s.kube import builds, logs, observe
from k8s.kube.api import Api, path
from k8s.manifests.job import LATE, TIMEOUT, job
from k8s.naming import Manifest
from k8s.specs import JobPhase, JobSpec, JobStatus, JobTask

# Of the launcher, which knows of no command that is not to listen.
_NOT_LISTENING = f" before it listened on port {naming.PORT}"


class Jobs:
    """namespace: of a cloud by its id; raises NotFound. key: what tokens for the bundle server are made with."""

    def __init__(self, api: Api, cell: Cell, key: bytes, namespace: Callable[[str], str]) -> None:
        self._api, self._cell, self._key, self._namespace = api, cell, key, namespace

    def run(self, spec: JobSpec) -> None:
        checks.check_instance(spec.instance)
        if spec.task is not JobTask.COMMAND:
            raise Permanent("this cluster keeps no copies of volumes")
        if spec.micro not in {micro.name for micro in spec.instance.micros}:
            raise Permanent(f"the instance has no micro “{spec.micro}”")
        namespace = self._namespace(spec.instance.cloud_id)
        name = naming.job_name(checks.require_id(spec.job_id))
        try:
            self._api.get(path("Job", namespace, name), metadata_only=True)
        except NotFound:
            token = tokens.issue(self._key, Bearer(Kind.INSTANCE, spec.instance.cloud_id, spec.instance.instance_id))
            for manifest in job(spec, self._cell, token):
                self._api.apply(manifest)

    def status(self, cloud_id: str, job_id: str) -> JobStatus:
        namespace = self._namespace(cloud_id)
        found = self._api.get(path("Job", namespace, naming.job_name(checks.require_id(job_id))))
        if "deletionTimestamp" in found["metadata"]:
            raise NotFound(f"no job {job_id} in the cloud {cloud_id}")
        if builds.succeeded(found):
            return JobStatus(job_id, cloud_id, JobPhase.SUCCEEDED)
        pods = self._pods(namespace, cloud_id, {naming.JOB: job_id})
        if not builds.ended(found):
            running = any(builds.state(pod).get("running") for pod in pods)
            return JobStatus(job_id, cloud_id, JobPhase.RUNNING if running else JobPhase.PENDING)
        reason, tail = _failure(found, pods)
        if not tail and pods:
            tail = logs.last_words(self._api, namespace, pods[0]["metadata"]["name"], observe.source(pods[0]))
        return JobStatus(job_id, cloud_id, JobPhase.FAILED, reason=reason, log_tail=tail)

    def delete_of(self, cloud_id: str, instance_id: str) -> bool:
        """Those of the instance. True once nothing of them runs any more."""
        try:
            namespace = self._namespace(cloud_id)
        except NotFound:
            return True
        labels = self._labels(cloud_id, {naming.JOB_OF: checks.require_id(instance_id)})
        left = False
        for kind in ("Job", "Secret"):
            for found in self._api.items(path(kind, namespace), labels, metadata_only=True):
                self._api.delete(path(kind, namespace, found["metadata"]["name"]))
                left = True
        return not left and not self.run_still(namespace, cloud_id, instance_id)

    def run_still(self, namespace: str, cloud_id: str, instance_id: str) -> bool:
        """Whether a pod of one may still write to the instance's volume."""
        return any(map(observe.runs, self._pods(namespace, cloud_id, {naming.JOB_OF: instance_id})))

    def wants(self, namespace: str, cloud_id: str, instance_id: str, digest: str) -> bool:
        pods = self._pods(namespace, cloud_id, {naming.JOB_OF: instance_id}, metadata_only=True)
        return any(observe.annotation(pod, naming.ARTIFACT) == digest for pod in pods)

    def _pods(
        self, namespace: str, cloud_id: str, more: dict[str, str], *, metadata_only: bool = False
    ) -> list[Manifest]:
        labels = self._labels(cloud_id, more)
        return self._api.items(path("Pod", namespace), labels, metadata_only=metadata_only)

    def _labels(self, cloud_id: str, more: dict[str, str]) -> str:
        owned = {naming.INSTALLATION: self._cell.installation, naming.CLOUD: cloud_id}
        return naming.selector({**owned, **more})


def _failure(job: Manifest, pods: list[Manifest]) -> tuple[str, str]:
    """(reason, last lines)."""
    failed, late = builds.condition(job, "Failed") or {}, f"took longer than {observe.annotation(job, TIMEOUT)} s"
    if failed.get("reason") == "DeadlineExceeded":
        return late, ""
    for pod in pods:
        terminated = builds.state(pod).get("terminated")
        if terminated:
            memory = pod["spec"]["containers"][0]["resources"]["limits"]["memory"]
            reason, tail = observe.ending(terminated, memory)
            return late if terminated.get("exitCode") == LATE else reason.removesuffix(_NOT_LISTENING), tail
    return f"could not be run by the cluster: {failed.get('message', 'no reason given')}", ""
