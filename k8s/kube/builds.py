"""What a build's Job says about it: pure functions."""

import json
from collections.abc import Sequence
from dataclasses import replace

from k8s import naming
from k8s.bundles.results import Result
from k8s.kube.observe import annotation, ending
from k8s.manifests.build import OUTPUT_LIMIT
from k8s.naming import Manifest
from k8s.specs import BuildMicro, BuildSpec, JobPhase, JobStatus


def succeeded(job: Manifest) -> bool:
    return bool(job.get("status", {}).get("succeeded"))


def ended(job: Manifest) -> bool:
    return succeeded(job) or condition(job, "Failed") is not None


def status(cloud_id: str, job_id: str, job: Manifest, pods: Sequence[Manifest]) -> JobStatus:
    """Of a job that has not succeeded; see `with_result` for one that has."""
    failed = condition(job, "Failed")
    if failed is not None:
        return JobStatus(job_id, cloud_id, JobPhase.FAILED, reason=_reason(failed, pods))
    running = any(state(pod).get("running") for pod in pods)
    return JobStatus(job_id, cloud_id, JobPhase.RUNNING if running else JobPhase.PENDING)


def with_result(status: JobStatus, result: Result | None) -> JobStatus:
    if result is None:
        return replace(status, phase=JobPhase.FAILED, reason="The build ended without handing in a result.")
    micros, size = result.micros, result.size_bytes
    return replace(status, phase=JobPhase.SUCCEEDED, artifact=result.artifact, size_bytes=size, micros=micros)


def outline(cloud_id: str, namespace: str, job_id: str, job: Manifest) -> BuildSpec:
    names = json.loads(annotation(job, naming.MICROS))
    micros = tuple(BuildMicro(name, engine="", src="") for name in names)
    limit_mib = int(annotation(job, OUTPUT_LIMIT))
    return BuildSpec(cloud_id, namespace, job_id, annotation(job, naming.ARTIFACT), micros, output_limit_mib=limit_mib)


def condition(job: Manifest, kind: str) -> Manifest | None:
    conditions = job.get("status", {}).get("conditions", [])
    return next((c for c in conditions if c["type"] == kind and c["status"] == "True"), None)


def state(pod: Manifest) -> Manifest:
    statuses = pod.get("status", {}).get("containerStatuses") or [{}]
    state: Manifest = statuses[0].get("state", {})
    return state


def _reason(failed: Manifest, pods: Sequence[Manifest]) -> str:
    for pod in pods:
        terminated = state(pod).get("terminated")
        if terminated:
            memory = pod["spec"]["containers"][0]["resources"]["limits"]["memory"]
            return ending(terminated, memory)[0]
    if failed.get("reason") == "DeadlineExceeded":
        return "The build did not come to an end in its time."
    return f"The cluster could not run the build: {failed.get('message', 'no reason given')}."
