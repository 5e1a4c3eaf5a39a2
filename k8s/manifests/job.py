"""A command of an instance as a Job, in a pod like those of its micro."""

import base64
import shlex
from dataclasses import replace

from k8s import naming
from k8s.cell import Cell
from k8s.manifests import instance
from k8s.manifests.pods import GRACE_S
from k8s.naming import Manifest
from k8s.specs import JobSpec

TIMEOUT = "freehold/timeout-s"
LATE = 124  # what `timeout` exits with
_START_S = 120  # for scheduling, pulling and fetching


def job(spec: JobSpec, cell: Cell, token: str) -> list[Manifest]:
    """The Secret with the environment, then the Job. It counts against the apps' quota, as what it stands for will.

    A Secret of its own: the instance's is that of the version which runs meanwhile.
    """
    whole = spec.instance
    micro = next(one for one in whole.micros if one.name == spec.micro)
    micro = replace(micro, command=spec.command if micro.image else _limited(spec))
    name = naming.job_name(spec.job_id)
    labels = {naming.INSTALLATION: cell.installation, naming.CLOUD: whole.cloud_id}
    labels |= {naming.JOB: spec.job_id, naming.JOB_OF: whole.instance_id}
    metadata = {"name": name, "namespace": whole.namespace, "labels": labels}
    values = {instance.TOKEN_KEY: token, **{instance.entry(micro, key): value for key, value in micro.env.items()}}
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": data}
    container = {**instance.container(whole, cell, micro, name), "name": "job"}
    pod = instance.pod(whole, cell, micro, container)
    annotations = {naming.ARTIFACT: micro.image or whole.artifact, naming.MICRO_NAME: micro.name}
    template = {
        "metadata": {"labels": {**labels, **instance.of_the_network(whole, micro)}, "annotations": annotations},
        "spec": {**pod, "restartPolicy": "Never"},
    }
    run = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {**metadata, "annotations": {TIMEOUT: str(spec.timeout_s)}},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": spec.timeout_s + _START_S,
            "template": template,
        },
    }
    return [naming.stamped(secret), naming.stamped(run)]


def _limited(spec: JobSpec) -> str:
    """The cluster's own deadline takes the pod away, and with it its last words; an image may lack the program."""
    return f"exec timeout --kill-after={GRACE_S} {spec.timeout_s} /bin/sh -c {shlex.quote(spec.command)}"
