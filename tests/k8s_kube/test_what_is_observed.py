"""What the cluster's objects say about an instance."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from k8s import naming
from k8s.kube import observe
from k8s.kube.whereabouts import Whereabouts
from k8s.specs import MicroPhase

Object = dict[str, Any]
RUNNING: Object = {"phase": "Running", "containerStatuses": [{"ready": True, "state": {"running": {"startedAt": "…"}}}]}
ENDED: Object = {"phase": "Running", "containerStatuses": [{"ready": False, "state": {"terminated": {"exitCode": 0}}}]}
EVICTED: Object = {"phase": "Failed", "reason": "Evicted"}


def deployment(restart: int, **status: int) -> Object:
    counted = {"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1, **status}
    return {
        "metadata": {"name": "i-a-0", "generation": 2, "annotations": {}},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {naming.MICRO: "0"}},
            "template": {"metadata": {"annotations": {naming.RESTART: str(restart)}}},
        },
        "status": counted,
    }


def pod(restart: int, status: Object, **metadata: str) -> Object:
    about = {
        "name": f"pod-{restart}",
        "labels": {naming.MICRO: "0"},
        "annotations": {naming.RESTART: str(restart)},
        "creationTimestamp": f"2026-01-01T00:00:0{restart}Z",
        **metadata,
    }
    return {"metadata": about, "spec": {}, "status": status}


GOING = {"deletionTimestamp": "2026-01-01T00:00:09Z"}


@pytest.mark.parametrize(
    ("old", "phase"),
    [
        (pod(0, RUNNING, **GOING), MicroPhase.STARTING),
        (pod(0, ENDED, **GOING), MicroPhase.READY),
        (pod(0, EVICTED), MicroPhase.READY),
    ],
)
def test_a_restart_is_over_once_the_old_pod_cannot_answer_any_more(old: Object, phase: MicroPhase) -> None:
    status = observe.micro_status("main", deployment(1), [pod(1, RUNNING), old], None)
    assert status.phase is phase


def test_waking_does_not_wait_for_the_pod_that_goes_to_sleep() -> None:
    status = observe.micro_status("main", deployment(0), [pod(0, RUNNING), pod(0, RUNNING, **GOING)], None)
    assert status.phase is MicroPhase.READY


def test_a_pod_that_goes_is_not_taken_for_the_one_that_comes() -> None:
    """Put to sleep and woken within a moment: the Deployment counts the old pod for a little longer."""
    service = {"spec": {"clusterIP": "10.96.0.9"}}
    status = observe.micro_status("main", deployment(0), [pod(0, RUNNING, **GOING)], service)
    assert (status.phase, status.upstream) == (MicroPhase.PENDING, None)


def test_an_answer_about_an_older_spec_is_no_answer() -> None:
    status = observe.micro_status("main", deployment(1, observedGeneration=1), [pod(1, RUNNING)], None)
    assert status.phase is MicroPhase.STARTING


def test_where_a_pod_will_listen_is_known_before_its_kubelet_says_so() -> None:
    told = Whereabouts(["10.244.0.0/16"])
    none = deployment(1, availableReplicas=0)
    for pod_name, address in (("pod-1", "10.244.0.9"), ("pod-0", "10.244.0.8")):
        told.note(pod_name, address)

    def candidate(*pods: Object) -> str | None:
        return observe.micro_status("main", none, pods, None, told.of).candidate

    assert candidate(pod(1, {"phase": "Pending"}), pod(0, RUNNING, **GOING)) == "10.244.0.9:8080"
    assert candidate(pod(1, {**RUNNING, "podIP": "10.244.0.7"})) == "10.244.0.7:8080"  # who knows better
    told.note("pod-1", "192.0.2.1")  # no pod's address
    told.forget("pod-1")
    assert candidate(pod(1, {"phase": "Pending"})) is None
    assert Whereabouts([]).may_be("10.244.0.9") is False


def test_an_evicted_pod_does_not_keep_an_instance_from_being_stopped() -> None:
    asleep = deployment(0)
    asleep["spec"]["replicas"] = 0
    assert observe.micro_status("main", asleep, [pod(0, EVICTED)], None).phase is MicroPhase.STOPPED


def waiting(reason: str, message: str = "") -> Object:
    state = {"waiting": {"reason": reason, "message": message}}
    return {"phase": "Pending", "containerStatuses": [{"ready": False, "state": state}]}


UNPLACED = {"phase": "Pending"}
LATE = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}


def failing(pods: list[Object], *conditions: Object) -> tuple[str, str]:
    one = deployment(1, availableReplicas=0)
    one["spec"]["progressDeadlineSeconds"] = 20
    one["status"]["conditions"] = list(conditions)
    micro = observe.micro_status("main", one, pods, None)
    return micro.reason, micro.log_tail


@pytest.mark.parametrize("reason", ["ErrImagePull", "CreateContainerConfigError", "CreateContainerError"])
def test_what_a_busy_node_may_say_counts_once_the_time_is_over(reason: str) -> None:
    pods = [pod(1, waiting(reason, "failed to sync secret cache"))]
    assert failing(pods) == ("", "")
    said, tail = failing(pods, LATE)
    assert said.startswith("The micro “main” cannot be started: its ")
    assert tail == "failed to sync secret cache"


def test_an_image_that_is_nowhere_is_told_at_once() -> None:
    said, _ = failing([pod(1, waiting("ImagePullBackOff"))])
    assert said == "The micro “main” cannot be started: its image cannot be fetched; the operator must provide it."


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("0/1 nodes are available: 1 Insufficient cpu.", "found no room in the cluster within 20 s; it starts once"),
        ('persistentvolumeclaim "i-a" not found', "waits for its volume, which the cluster did not make within 20 s"),
    ],
)
def test_a_pod_without_a_node_says_what_it_waits_for(message: str, said: str) -> None:
    unplaced = {"type": "PodScheduled", "status": "False", "message": message}
    reason, tail = failing([pod(1, {**UNPLACED, "conditions": [unplaced]})], LATE)
    assert said in reason
    assert tail == message


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("pods is forbidden: exceeded quota: apps", "does not fit into the cloud"),
        ("pods is forbidden: no such class", "the operator must see to it"),
    ],
)
def test_a_refused_pod_says_who_can_help(message: str, said: str) -> None:
    refused = {"type": "ReplicaFailure", "status": "True", "message": message}
    reason, tail = failing([], refused)
    assert said in reason
    assert tail == message


def test_a_quota_that_has_not_been_counted_yet_is_no_refusal() -> None:
    refused = {"type": "ReplicaFailure", "status": "True", "message": "status unknown for quota: apps"}
    assert failing([], refused) == ("", "")


@pytest.mark.parametrize(
    ("status", "after_s", "going"),
    [
        (waiting("ContainerCreating"), 60, False),
        (waiting("ContainerCreating"), 1, True),  # clocks differ
        (UNPLACED, 60, False),
        (RUNNING, 60, True),
        ({"containerStatuses": [{"state": {"waiting": {}}, "containerID": "containerd://x"}]}, 60, True),
    ],
)
def test_a_pod_that_was_deleted_before_it_began_does_not_run_past_its_grace(
    status: Object, after_s: int, going: bool
) -> None:
    end = datetime.fromisoformat(GOING["deletionTimestamp"])
    assert observe.runs(pod(1, status, **GOING), end + timedelta(seconds=after_s)) is going
    assert observe.runs(pod(1, status), end + timedelta(seconds=after_s))
