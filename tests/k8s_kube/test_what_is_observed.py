"""What the cluster's objects say about an instance."""

from typing import Any

import pytest

from k8s import naming
from k8s.kube import observe
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


def test_an_answer_about_an_older_spec_is_no_answer() -> None:
    status = observe.micro_status("main", deployment(1, observedGeneration=1), [pod(1, RUNNING)], None)
    assert status.phase is MicroPhase.STARTING


def test_an_evicted_pod_does_not_keep_an_instance_from_being_stopped() -> None:
    asleep = deployment(0)
    asleep["spec"]["replicas"] = 0
    assert observe.micro_status("main", asleep, [pod(0, EVICTED)], None).phase is MicroPhase.STOPPED
