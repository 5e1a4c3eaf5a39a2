"""k8s/deploy as a real apiserver reads it: what schemas cannot say (selectors, ports, probes, volumes) is checked there."""

import subprocess

import pytest
import yaml

from k8s.kube.api import path
from tests.contract.kubernetes_lane import KubernetesLane
from tests.contract.lanes import until
from tests.k8s_deploy.rendered import Object, environment, every_container, objects, pods

CLUSTER_WIDE = ("Namespace", "PriorityClass", "ClusterRole", "ClusterRoleBinding")


def kubectl(lane: KubernetesLane, *arguments: str, text: str = "") -> "subprocess.CompletedProcess[str]":
    command = ("kubectl", "--kubeconfig", lane.admin, *arguments)
    return subprocess.run(command, input=text, capture_output=True, text=True)


def known(lane: KubernetesLane) -> list[Object]:
    """Without kinds that came after this server, in the lane's own namespace, which is there already."""
    versions = set(kubectl(lane, "api-versions").stdout.split())
    policies = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
    has_policies = "validatingadmissionpolicies" in kubectl(lane, "api-resources", "-o", "name").stdout
    found = [one for one in objects() if one["apiVersion"] in versions]
    found = [one for one in found if has_policies or one["kind"] not in policies]
    here = {"namespace": lane.identities.namespace}
    return [
        one if one["kind"] in (*CLUSTER_WIDE, *policies) else {**one, "metadata": {**one["metadata"], **here}}
        for one in found
        if one["kind"] != "Namespace"
    ]


def test_a_real_server_would_take_every_object(lane: KubernetesLane) -> None:
    offered = known(lane)
    assert {"Deployment", "Job", "Service", "NetworkPolicy", "ClusterRole"} <= {one["kind"] for one in offered}
    done = kubectl(lane, "apply", "--dry-run=server", "-f", "-", text=yaml.safe_dump_all(offered))
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(offered)


@pytest.mark.parametrize("process", ["worker", "gate"])
def test_a_pod_is_told_what_the_manifests_spell_together(lane: KubernetesLane, process: str) -> None:
    """Settings, secrets and addresses of Services, as a real kubelet puts them into a container's environment."""
    here = lane.identities.namespace
    secret = "s" * 40
    named = {ref["name"]: _keys_of(ref["name"], secret) for ref in _secrets()}
    made: list[Object] = [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": here}, "stringData": data}
        for name, data in named.items()
    ]
    made += [one for one in known(lane) if one["kind"] in ("ConfigMap", "Service")]
    done = kubectl(lane, "apply", "-f", "-", text=yaml.safe_dump_all(made))
    assert done.returncode == 0, done.stderr
    container = next(one for _, _, one in every_container() if one["args"] == [process])
    told = _environment_in_a_pod(lane, f"tells-{process}", container)
    services = {
        f"{one['metadata']['name'].upper().replace('-', '_')}_SERVICE_HOST": one["spec"]["clusterIP"]
        for one in lane.api.items(path("Service", here), "")
    }
    expected = environment(container, secret, services)
    assert {name: told.get(name) for name in expected} == expected


def _secrets() -> list[dict[str, str]]:
    entries = [entry for _, _, one in every_container() for entry in one.get("env", [])]
    return [entry["valueFrom"]["secretKeyRef"] for entry in entries if "valueFrom" in entry]


def _keys_of(secret: str, value: str) -> dict[str, str]:
    return {ref["key"]: value for ref in _secrets() if ref["name"] == secret}


def _environment_in_a_pod(lane: KubernetesLane, name: str, container: Object) -> dict[str, str]:
    here = lane.identities.namespace
    kept = {key: container[key] for key in ("env", "envFrom", "securityContext", "resources")}
    image = {"name": "tells", "image": lane.cell.images["python"], "imagePullPolicy": "IfNotPresent"}
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": pods()["worker"]["spec"]["securityContext"],
        "containers": [{**image, **kept, "command": ["/usr/bin/env"]}],
    }
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": here}, "spec": spec}
    lane.api.apply(pod)
    address = path("Pod", here, name)
    until(lambda: lane.api.get(address)["status"]["phase"] in ("Succeeded", "Failed"), 60)
    lines = list(lane.api.lines(f"{address}/log", {}, read_timeout_s=20))
    return dict(line.decode().split("=", 1) for line in lines if b"=" in line)
