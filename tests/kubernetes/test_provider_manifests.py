"""k8s/deploy as a real apiserver reads it: what schemas cannot say (selectors, ports, probes, volumes) is checked there."""

import subprocess

import yaml

from tests.contract.kubernetes_lane import KubernetesLane
from tests.k8s_deploy.rendered import Object, objects

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
