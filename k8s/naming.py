"""Names, labels and annotations of everything that Freehold makes in a Kubernetes cluster.

Names are functions of ids that are generated once and stored, so nobody has to remember them. Labels say whose an object is;
sweeps and watches select by them and see nothing else.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

Manifest = dict[str, Any]

FIELD_MANAGER = "freehold"
INSTALLATION = "freehold/installation"
CLOUD = "freehold/cloud"
INSTANCE = "freehold/instance"
JOB = "freehold/job"
JOB_OF = "freehold/job-of"  # the instance that a job belongs to: none of the instance's own objects, so not INSTANCE
MICRO = "freehold/micro"  # micro_key(), since a micro's own name need not be a label
ROLE = "freehold/role"
OFFLINE = "freehold/offline"  # on pods that the Internet is closed to

HASH = "freehold/hash"  # of the manifest as it was applied
GENERATION = "freehold/generation"  # InstanceSpec.generation
RESTART = "freehold/restart"  # InstanceSpec.restart
ATTEMPT = "freehold/attempt"  # generation in which a failed rollout was last tried anew
MICROS = "freehold/micros"  # JSON [{"name", "kind"}], on the instance's Secret
MICRO_NAME = "freehold/micro-name"
ARTIFACT = "freehold/artifact"
ADDRESS = "freehold/address"  # of a pod that is starting, on the Event that tells of it

_POD = re.compile(r"i-(?P<instance>[a-z0-9]+)-[0-9a-f]{8}-|b-(?P<job>[a-z0-9]+)-[a-z0-9]{5}$")

APPS_PRIORITY = "freehold-apps"
SYSTEM_PRIORITY = "freehold-system"
ACCOUNT = "app"
PORT = 8080
# Names under which apps of the former platform reach their data.
FORMER_DATA_HOSTS = ("database.deta.sh", "drive.deta.sh", "database.deta.space")


def micro_key(micro: str) -> str:
    """Eight hex digits that stand for a micro's name where upper case, dots or length would not be allowed."""
    return hashlib.sha256(micro.encode()).hexdigest()[:8]


def instance_name(instance_id: str) -> str:
    """Of the Secret and the PersistentVolumeClaim."""
    return f"i-{instance_id}"


def micro_name(instance_id: str, micro: str) -> str:
    """Of the Deployment and the Service; at most 51 characters, beginning with a letter as Services must."""
    return f"i-{instance_id}-{micro_key(micro)}"


def build_name(job_id: str) -> str:
    """Of the Job and its Secret."""
    return f"b-{job_id}"


def job_name(job_id: str) -> str:
    """Of the Job of an instance, and of its Secret."""
    return f"j-{job_id}"


def owner_of_pod(name: str) -> str:
    """The instance's or the job's id in the name of a pod of theirs, else "". Kubernetes adds to the names above."""
    found = _POD.match(name)
    return (found["instance"] or found["job"]) if found else ""


def instance_labels(installation: str, cloud_id: str, instance_id: str) -> dict[str, str]:
    return {INSTALLATION: installation, CLOUD: cloud_id, INSTANCE: instance_id}


def selector(labels: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in labels.items())


def stamped(manifest: Manifest) -> Manifest:
    """The manifest with its own hash as an annotation: what is applied already need not be applied again."""
    metadata = manifest["metadata"]
    return {
        **manifest,
        "metadata": {**metadata, "annotations": {**metadata.get("annotations", {}), HASH: digest(manifest)}},
    }


def digest(value: Any) -> str:
    encoded = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    return hashlib.sha256(encoded).hexdigest()[:32]
