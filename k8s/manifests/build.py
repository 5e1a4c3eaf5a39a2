"""A build as a Job in the developer's own cloud."""

import base64
import json
from dataclasses import asdict

from k8s import naming
from k8s.cell import Cell
from k8s.manifests import pods
from k8s.manifests.instance import BASE_ENV
from k8s.naming import Manifest
from k8s.specs import BuildSpec

RUNNER = ("/usr/bin/python3", "-I", "-S", "/opt/freehold/launcher/build_job.py")
OUTPUT_LIMIT = "freehold/output-limit-mib"
_START_S = 120  # for scheduling and pulling; the build's own time is kept by the runner, which can say so
_SCRATCH_MIB = 3072


def build(spec: BuildSpec, cell: Cell, token: str) -> list[Manifest]:
    """The Secret with plan and token, then the Job. token: good for this source and one upload."""
    labels = {naming.INSTALLATION: cell.installation, naming.CLOUD: spec.cloud_id, naming.JOB: spec.job_id}
    metadata = {"name": naming.build_name(spec.job_id), "namespace": spec.namespace, "labels": labels}
    names = json.dumps([micro.name for micro in spec.micros])
    annotations = {naming.ARTIFACT: spec.source, naming.MICROS: names, OUTPUT_LIMIT: str(spec.output_limit_mib)}
    plan = {"micros": [asdict(micro) for micro in spec.micros], "as_of": spec.as_of}
    values = {"plan.json": json.dumps(plan, sort_keys=True), "token": token}
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": encoded}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {**metadata, "annotations": annotations},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": spec.timeout_s + _START_S,
            "template": _template(spec, cell, {**labels, naming.ROLE: "build"}),
        },
    }
    return [naming.stamped(secret), naming.stamped(job)]


def _template(spec: BuildSpec, cell: Cell, labels: dict[str, str]) -> Manifest:
    name = naming.build_name(spec.job_id)
    work_mib = _SCRATCH_MIB + 2 * spec.output_limit_mib
    plan = {"name": "plan", "secret": {"secretName": name, "items": [{"key": "plan.json", "path": "plan.json"}]}}
    volumes = [pods.empty_dir("tmp", pods.TMP_MIB), pods.empty_dir("work", work_mib), plan]
    body = pods.pod_spec(cell, naming.SYSTEM_PRIORITY, _container(spec, cell, work_mib + pods.TMP_MIB), volumes)
    return {"metadata": {"labels": labels}, "spec": {**body, "restartPolicy": "Never"}}


def _container(spec: BuildSpec, cell: Cell, disk_mib: int) -> Manifest:
    environment = {name: value for name, value in BASE_ENV.items() if name != "NODE_ENV"}  # npm would leave things out
    environment |= {
        **cell.build_env,
        "FREEHOLD_BUNDLE_URL": cell.bundle_url,
        "FREEHOLD_BUNDLE_DIGEST": spec.source,
        "FREEHOLD_BUILD_TIMEOUT_S": str(spec.timeout_s),
        "FREEHOLD_OUTPUT_LIMIT_MIB": str(spec.output_limit_mib),
        "FREEHOLD_MEMORY_MIB": str(spec.limits.memory_mib),
    }
    if cell.trusted:
        environment["FREEHOLD_TRUSTED"] = cell.trusted
    token = {"secretKeyRef": {"name": naming.build_name(spec.job_id), "key": "token"}}
    return {
        "name": "build",
        "image": cell.images["builder"],
        "imagePullPolicy": "IfNotPresent",
        "command": list(RUNNER),
        "env": [*pods.env_list(environment), {"name": "FREEHOLD_BUNDLE_TOKEN", "valueFrom": token}],
        "resources": pods.resources(cell, spec.limits, disk_mib),
        "securityContext": pods.CONTAINER_SECURITY,
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
            {"name": "work", "mountPath": "/work"},
            {"name": "plan", "mountPath": "/plan", "readOnly": True},
        ],
    }
