"""What objects of an instance say about it: pure functions from the cluster's JSON to the port's dataclasses."""

import json
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from k8s import naming
from k8s.kube.api import UNCOUNTED
from k8s.kube.logs import Source
from k8s.naming import Manifest
from k8s.specs import InstanceStatus, MicroKind, MicroPhase, MicroStatus

_CLOCKS_DIFFER = timedelta(seconds=3)
_ENDED = (128 + signal.SIGTERM, 128 + signal.SIGKILL)
_STEADY_S = 30.0  # whoever ran for so long has not crashed "in a row"
_NO_IMAGE = "its image cannot be fetched; the operator must provide it"
_NO_IMAGE_OF_THEIRS = "its image cannot be fetched: the app's developer must see that its registry has it for everybody"
# Reasons for which a container does not start, with what the owner reads. The kubelet goes on trying whatever the reason.
_HOPELESS = {
    "ImagePullBackOff": _NO_IMAGE,
    "InvalidImageName": "its image has no valid name",
    "ErrImageNeverPull": "its image is not on the node",
}
# These may come from a node that is busy, so they count only once the time to start is over.
_HOPEFUL = {
    "ErrImagePull": _NO_IMAGE,
    "CreateContainerConfigError": "its configuration is incomplete",
    "CreateContainerError": "its container could not be made",
}


@dataclass(frozen=True)
class Objects:
    """Everything there is of one instance. secret: its metadata is enough. services by name."""

    secret: Manifest
    deployments: Sequence[Manifest]
    pods: Sequence[Manifest]
    services: Mapping[str, Manifest]


def instance_status(
    cloud_id: str, instance_id: str, found: Objects, told: Callable[[str], str | None] = lambda _: None
) -> InstanceStatus:
    """The oldest generation among the objects is that of the whole: one that is missing means it was never applied.

    told: where a pod of that name will listen, before its kubelet says so.
    """
    entries = json.loads(annotation(found.secret, naming.MICROS) or "[]")
    deployments = {d["metadata"]["name"]: d for d in found.deployments}
    stopped = bool(deployments) and all(d["spec"]["replicas"] == 0 for d in deployments.values())
    micros, generations = [], [number(found.secret, naming.GENERATION)]
    for entry in entries:
        name = naming.micro_name(instance_id, entry["name"])
        deployment = deployments.get(name)
        if entry["kind"] == MicroKind.STATIC:
            micros.append(MicroStatus(entry["name"], MicroPhase.STOPPED if stopped else MicroPhase.READY))
        elif deployment is None:
            generations.append(0)
            micros.append(MicroStatus(entry["name"], MicroPhase.PENDING))
        else:
            generations.append(number(deployment, naming.GENERATION) if name in found.services else 0)
            micros.append(
                micro_status(entry["name"], deployment, pods_of(deployment, found.pods), found.services.get(name), told)
            )
    restart = number(found.secret, naming.RESTART)
    return InstanceStatus(instance_id, cloud_id, min(generations), restart, tuple(micros))


def pods_of(deployment: Manifest, pods: Sequence[Manifest]) -> list[Manifest]:
    """The newest first."""
    micro = deployment["spec"]["selector"]["matchLabels"][naming.MICRO]
    mine = [pod for pod in pods if pod["metadata"]["labels"].get(naming.MICRO) == micro]
    return sorted(mine, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), reverse=True)


def micro_status(
    name: str,
    deployment: Manifest,
    pods: Sequence[Manifest],
    service: Manifest | None,
    told: Callable[[str], str | None] = lambda _: None,
) -> MicroStatus:
    spec, status = deployment["spec"], deployment.get("status", {})
    if spec["replicas"] == 0:
        return MicroStatus(name, MicroPhase.STARTING if any(map(runs, pods)) else MicroPhase.STOPPED)
    staying = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    current = [pod for pod in staying if _is_current(pod, deployment)]
    # Who is scaled to 0 and back within a moment finds the pod that goes counted still.
    upstream = _upstream(service) if status.get("availableReplicas", 0) and staying else None
    restarts = sum(_container(pod).get("restartCount", 0) for pod in current)
    if status.get("observedGeneration", 0) < deployment["metadata"]["generation"]:
        return MicroStatus(name, MicroPhase.STARTING, upstream, restarts=restarts)
    reason, tail = failure(name, deployment, current)
    if reason:
        return MicroStatus(name, MicroPhase.FAILED, upstream, reason, tail, restarts)
    if current and _rolled_out(spec, status) and not any(_serves_still(pod, deployment) for pod in pods):
        return MicroStatus(name, MicroPhase.READY, upstream, restarts=restarts)
    started = any(_container(pod).get("state", {}).get("running") for pod in current)
    candidate = None if upstream else _candidate(current, told)
    phase = MicroPhase.STARTING if started else MicroPhase.PENDING
    return MicroStatus(name, phase, upstream, restarts=restarts, candidate=candidate)


def runs(pod: Manifest, now: datetime | None = None) -> bool:
    """Whether anything of it may still run; the object of an ended pod stays for some seconds more."""
    status = pod.get("status", {})
    if status.get("phase") in ("Succeeded", "Failed"):  # also evicted ones, which name no container
        return False
    statuses = status.get("containerStatuses", [])
    if statuses and all("terminated" in one.get("state", {}) for one in statuses):
        return False
    return not _never_began(pod["metadata"], statuses, now or datetime.now(UTC))


def _never_began(metadata: Manifest, statuses: Sequence[Manifest], now: datetime) -> bool:
    """Deleted before its container was there, and past its grace: a kubelet (1.20) may keep such an object for a minute."""
    until = metadata.get("deletionTimestamp")  # the request's time and the grace
    if not until or any(one.get("containerID") or "running" in one.get("state", {}) for one in statuses):
        return False
    return now > datetime.fromisoformat(until) + _CLOCKS_DIFFER


def failure(name: str, deployment: Manifest, current: Sequence[Manifest]) -> tuple[str, str]:
    """(sentence for the owner, last lines of output), or ("", "") while there is hope."""
    for pod in current:
        found = _pod_failure(pod)
        if found:
            return f"The micro “{name}” {found[0]}.", found[1]
    conditions = {c["type"]: c for c in deployment.get("status", {}).get("conditions", [])}
    refused, progress = conditions.get("ReplicaFailure", {}), conditions.get("Progressing", {})
    if refused.get("status") == "True" and UNCOUNTED not in str(refused.get("message")):
        return _refused(name, str(refused.get("message", "")))
    if progress.get("reason") == "ProgressDeadlineExceeded":
        reason, tail = _too_slow(deployment, current)
        return f"The micro “{name}” {reason}.", tail
    return "", ""


def _refused(name: str, message: str) -> tuple[str, str]:
    """The cluster goes on trying, so it starts by itself once the cause is gone."""
    if "exceeded quota" in message:
        return f"The micro “{name}” does not fit into the cloud: stop something, or ask for a larger quota.", message
    return f"The cluster refused to start the micro “{name}”; the operator must see to it.", message


def source(pod: Manifest) -> Source:
    """Only an artifact of ours has a digest without a name, and its code comes with the launcher."""
    return Source(annotation(pod, naming.MICRO_NAME), framed="@" not in annotation(pod, naming.ARTIFACT))


def annotation(manifest: Manifest, key: str) -> str:
    return str(manifest["metadata"].get("annotations", {}).get(key, ""))


def number(manifest: Manifest, key: str) -> int:
    return int(annotation(manifest, key) or 0)


def ending(terminated: Manifest, memory: str = "") -> tuple[str, str]:
    """(reason, last lines) of an ended container. The launcher writes both; the kernel may have been quicker than it."""
    reason, _, tail = str(terminated.get("message", "")).partition("\n")
    if terminated.get("reason") == "OOMKilled" and not reason.startswith("ran out of memory"):
        reason = f"ran out of memory (its limit is {memory.removesuffix('Mi')} MiB)"
    return reason or f"exited with code {terminated.get('exitCode', 0)}", tail


def _pod_failure(pod: Manifest) -> tuple[str, str] | None:
    """A container that ended twice within a short time, or that can never start."""
    container = _container(pod)
    if not container or container.get("ready"):
        return None
    waiting = container.get("state", {}).get("waiting", {})
    if waiting.get("reason") in _HOPELESS:
        return _unstartable(pod, _HOPELESS[waiting["reason"]]), str(waiting.get("message", ""))
    last = container.get("state", {}).get("terminated") or container.get("lastState", {}).get("terminated")
    crashes = container.get("restartCount", 0)
    if (
        last
        and crashes
        and waiting.get("reason") == "CrashLoopBackOff"
        or (last and crashes > 1 and _lived_s(last) < _STEADY_S)
    ):
        reason, tail = ending(last, pod["spec"]["containers"][0]["resources"]["limits"]["memory"])
        reason = _unwell(pod, last) or reason
        return f"{reason}, {crashes + 1} times in a row" if crashes > 1 else reason, tail
    return None


def _unwell(pod: Manifest, last: Manifest) -> str:
    """The kubelet asks a container to end, and then ends it, only where its pod goes or its health was missed."""
    probe = pod["spec"]["containers"][0].get("livenessProbe")
    if not probe or last.get("exitCode") not in _ENDED or last.get("reason") == "OOMKilled":
        return ""
    return f"did not answer {probe['httpGet']['path']} with 200 to 399, {probe['failureThreshold']} times in a row"


def _unstartable(pod: Manifest, why: str) -> str:
    return f"cannot be started: {why if why != _NO_IMAGE or source(pod).framed else _NO_IMAGE_OF_THEIRS}"


def _too_slow(deployment: Manifest, current: Sequence[Manifest]) -> tuple[str, str]:
    timeout = deployment["spec"]["progressDeadlineSeconds"]
    for pod in current:
        waiting = _container(pod).get("state", {}).get("waiting", {})
        if waiting.get("reason") in _HOPEFUL:
            return _unstartable(pod, _HOPEFUL[waiting["reason"]]), str(waiting.get("message", ""))
        for condition in pod.get("status", {}).get("conditions", []):
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                return _unscheduled(str(condition.get("message", "")), timeout)
    path = (
        deployment["spec"]["template"]["spec"]["containers"][0].get("readinessProbe", {}).get("httpGet", {}).get("path")
    )
    missing = f"answer {path} on port {naming.PORT} with 200" if path else f"start listening on port {naming.PORT}"
    return f"did not {missing} within {timeout} s", ""


def _unscheduled(message: str, timeout_s: int) -> tuple[str, str]:
    """The cluster goes on trying, so it starts by itself once the cause is gone."""
    if "persistentvolumeclaim" in message.lower():
        return f"waits for its volume, which the cluster did not make within {timeout_s} s", message
    return f"found no room in the cluster within {timeout_s} s; it starts once the operator has added some", message


def _rolled_out(spec: Manifest, status: Manifest) -> bool:
    wanted = spec["replicas"]
    return bool(
        status.get("updatedReplicas", 0) == wanted
        and status.get("replicas", 0) == wanted
        and status.get("availableReplicas", 0) == wanted
    )


def _is_current(pod: Manifest, deployment: Manifest) -> bool:
    """Made from the template as it is now: these annotations change with whatever changes it."""
    wanted = deployment["spec"]["template"]["metadata"].get("annotations", {})
    return bool(pod["metadata"].get("annotations", {}).items() >= wanted.items())


def _serves_still(pod: Manifest, deployment: Manifest) -> bool:
    """One of an older template that is on its way out: proxies lead to it for a moment more, so it may yet answer.

    A Deployment has stopped counting it by then. One of the same template answers as the new one does.
    """
    return not _is_current(pod, deployment) and runs(pod)


def _upstream(service: Manifest | None) -> str | None:
    address = (service or {}).get("spec", {}).get("clusterIP")
    return f"{address}:{naming.PORT}" if address else None


def _candidate(current: Sequence[Manifest], told: Callable[[str], str | None]) -> str | None:
    """A pod's own address. The kubelet looks once a second whether it is ready, and the Service knows even later."""
    known = (pod.get("status", {}).get("podIP") or told(pod["metadata"]["name"]) for pod in current if runs(pod))
    address = next(filter(None, known), None)
    return f"{address}:{naming.PORT}" if address else None


def _container(pod: Manifest) -> dict[str, Any]:
    statuses = pod.get("status", {}).get("containerStatuses") or [{}]
    first: dict[str, Any] = statuses[0]
    return first


def _lived_s(terminated: Manifest) -> float:
    try:
        started, finished = (datetime.fromisoformat(terminated[key]) for key in ("startedAt", "finishedAt"))
    except (KeyError, ValueError, TypeError):
        return 0.0
    return (finished - started).total_seconds()


def with_tails(status: InstanceStatus, found: Objects, read: Callable[[tuple[str, Source]], str]) -> InstanceStatus:
    """`status` with last lines where a micro failed while its container runs on. read: last lines of a pod, by its name."""
    micros = []
    for micro in status.micros:
        if micro.phase is MicroPhase.FAILED and not micro.log_tail:
            key = naming.micro_key(micro.name)
            mine = [pod for pod in found.pods if pod["metadata"]["labels"].get(naming.MICRO) == key]
            newest = max(mine, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), default=None)
            micro = replace(micro, log_tail=read((newest["metadata"]["name"], source(newest))) if newest else "")
        micros.append(micro)
    return replace(status, micros=tuple(micros))
