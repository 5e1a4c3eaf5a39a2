"""Manifests of commands that run once, of micros that name their health or want no Internet; and what is seen of them."""

import base64
from dataclasses import replace
from typing import Any

import pytest

from k8s.kube.observe import failure
from k8s.manifests.instance import instance
from k8s.manifests.job import job
from k8s.specs import JobSpec
from tests.k8s_kube.specs import CELL, INSTANCE, WEB, WITH_VOLUME

Object = dict[str, Any]
WELL = replace(INSTANCE, micros=(replace(WEB, health="/up"),))
MIGRATION = JobSpec("mig10", replace(INSTANCE, volume=WITH_VOLUME), WEB.name, "./migrate $HOME", timeout_s=300)


def deployment(spec: Any) -> Object:
    return next(found for found in instance(spec, CELL, "t") if found["kind"] == "Deployment")


def container(spec: Any) -> Object:
    found: Object = deployment(spec)["spec"]["template"]["spec"]["containers"][0]
    return found


def test_health_is_asked_for_by_the_apps_own_host_and_missed_before_it_counts() -> None:
    asked = {"path": "/up", "port": 8080, "httpHeaders": [{"name": "Host", "value": INSTANCE.host}]}
    assert container(WELL)["readinessProbe"] == {
        "httpGet": asked,
        "periodSeconds": 2,
        "timeoutSeconds": 5,
        "failureThreshold": 3,
    }
    assert container(WELL)["livenessProbe"] == {
        "httpGet": asked,
        "periodSeconds": 2,
        "timeoutSeconds": 5,
        "failureThreshold": 15,
        "initialDelaySeconds": 60,
    }


def test_without_a_path_nothing_ever_ends_what_accepts_connections() -> None:
    assert "livenessProbe" not in container(INSTANCE)


def test_an_app_that_wants_no_internet_is_labelled_for_the_policies() -> None:
    offline = replace(INSTANCE, micros=(replace(WEB, offline=True),))
    assert deployment(offline)["spec"]["template"]["metadata"]["labels"]["freehold/offline"] == "true"
    assert "freehold/offline" not in deployment(INSTANCE)["spec"]["template"]["metadata"]["labels"]


def test_a_job_runs_its_command_as_its_micro_would_run_and_never_twice() -> None:
    secret, run = job(MIGRATION, CELL, "token-1")
    labels = {"freehold/installation": CELL.installation, "freehold/cloud": "c1"}
    labels |= {"freehold/job": "mig10", "freehold/job-of": "ins1"}
    assert secret["metadata"]["labels"] == run["metadata"]["labels"] == labels
    values = {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}
    assert values["freehold.bundle-token"] == "token-1" and "/data" in values.values()
    assert (run["spec"]["backoffLimit"], run["spec"]["activeDeadlineSeconds"]) == (0, 420)
    template = run["spec"]["template"]
    assert template["metadata"]["labels"] == {**labels, "freehold/role": "app"}
    pod = template["spec"]
    own = container(MIGRATION.instance)
    (mine,) = pod["containers"]
    assert mine["command"] == [
        *own["command"][:-1],
        "exec timeout --kill-after=10 300 /bin/sh -c './migrate $$HOME'",
    ]
    assert {key: mine[key] for key in ("image", "resources", "securityContext", "volumeMounts")} == {
        key: own[key] for key in ("image", "resources", "securityContext", "volumeMounts")
    }
    assert not {"ports", "readinessProbe", "livenessProbe"} & mine.keys()
    names = {entry["valueFrom"]["secretKeyRef"]["name"] for entry in mine["env"] if "valueFrom" in entry}
    assert names == {"j-mig10"}
    assert (pod["restartPolicy"], pod["priorityClassName"]) == ("Never", "freehold-apps")
    assert pod["volumes"] == deployment(MIGRATION.instance)["spec"]["template"]["spec"]["volumes"]


def test_a_job_is_none_of_the_objects_that_its_instance_consists_of() -> None:
    for manifest in job(MIGRATION, CELL, "t"):
        assert "freehold/instance" not in manifest["metadata"]["labels"]
    assert "freehold/instance" not in job(MIGRATION, CELL, "t")[1]["spec"]["template"]["metadata"]["labels"]


def ended(code: int, **more: str) -> Object:
    return {
        "metadata": {"annotations": {}},
        "spec": {"containers": [container(WELL)]},
        "status": {
            "containerStatuses": [
                {
                    "restartCount": 1,
                    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                    "lastState": {"terminated": {"exitCode": code, "message": "was ended by signal SIGTERM", **more}},
                }
            ]
        },
    }


@pytest.mark.parametrize(
    ("code", "more", "said"),
    [
        (143, {}, "did not answer /up with 200 to 399, 15 times in a row"),
        (137, {}, "did not answer /up with 200 to 399, 15 times in a row"),
        (137, {"reason": "OOMKilled"}, "ran out of memory"),
        (1, {"message": "exited with code 1"}, "exited with code 1"),
    ],
)
def test_what_was_ended_for_its_health_says_so(code: int, more: dict[str, str], said: str) -> None:
    assert said in failure("Web.App", deployment(WELL), [ended(code, **more)])[0]


def test_what_never_answered_is_told_with_its_path() -> None:
    late = {
        **deployment(WELL),
        "status": {"conditions": [{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]},
    }
    assert "did not answer /up on port 8080 with 200 within 60 s" in failure("Web.App", late, [])[0]
