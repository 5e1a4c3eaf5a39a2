"""A cloud's namespace as a tenant boundary: somebody with Kubernetes' own `admin` role in one cloud stays inside of it."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from k8s.errors import Permanent
from k8s.kube.api import Api, path
from k8s.naming import Manifest
from tests.contract.apps import Tenant
from tests.contract.kubernetes_lane import KubernetesLane
from tests.k8s_kube import reachability
from tests.k8s_kube.ways import ALLOWED, every_way

RBAC = "/apis/rbac.authorization.k8s.io/v1"
INSIDE = ("Pod", "Secret", "Service", "ServiceAccount", "PersistentVolumeClaim", "Deployment", "Job", "NetworkPolicy")
LIMITS = ("ResourceQuota", "LimitRange")


class Impersonated(Api):
    """Somebody else, in the eyes of the apiserver; KUBECONFIG's user may say so."""

    def __init__(self, kubeconfig: str, user: str) -> None:
        super().__init__(kubeconfig, None)
        self.user = user

    def _credentials(self) -> dict[str, str]:
        return {**super()._credentials(), "Impersonate-User": self.user}

    def post(self, address: str, body: Manifest) -> Manifest:
        return self._json("POST", address, body=body)


@pytest.fixture
def owner(lane: KubernetesLane, tenant: Tenant) -> Impersonated:
    """`admin` in the tenant's namespace, and nothing anywhere else."""
    user = f"tenant-{uuid.uuid4()}"
    namespace = tenant.cloud().namespace
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "owner", "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }
    lane.api._json("POST", f"{RBAC}/namespaces/{namespace}/rolebindings", body=binding)
    lane.ensure_counted(tenant.cloud())
    return Impersonated(lane.admin, user)


@pytest.fixture
def neighbour(lane: KubernetesLane) -> Iterator[Tenant]:
    other = Tenant(lane)
    lane.cluster.ensure_cloud(other.cloud())
    lane.cluster.apply_instance(other.instance(replicas=0))
    yield other
    lane.cluster.delete_cloud(other.cloud_id)


def forbidden() -> Any:
    return pytest.raises(Permanent, match="forbidden")


def namespace_of(tenant: Tenant) -> str:
    return tenant.cloud().namespace


def test_the_owner_is_at_home_in_the_own_cloud(owner: Impersonated, tenant: Tenant) -> None:
    """Or everything below would be refused for want of any right."""
    tenant.lane.cluster.apply_instance(tenant.instance(replicas=0))
    assert len(owner.items(path("Secret", namespace_of(tenant)), "freehold/instance")) == 1
    metadata = {"name": "own", "namespace": namespace_of(tenant)}
    owner.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata})
    owner.delete(path("Secret", namespace_of(tenant), "own"))


@pytest.mark.parametrize("kind", [*INSIDE, *LIMITS])
def test_nothing_of_another_cloud_is_seen_or_touched(owner: Impersonated, neighbour: Tenant, kind: str) -> None:
    there = path(kind, namespace_of(neighbour))
    with forbidden():
        owner.items(there, "")
    with forbidden():
        owner.get(f"{there}/any")
    with forbidden():
        owner.delete(there, {"labelSelector": "freehold/cloud"})
    version = "apps/v1" if kind == "Deployment" else "batch/v1" if kind == "Job" else "v1"
    version = "networking.k8s.io/v1" if kind == "NetworkPolicy" else version
    metadata = {"name": "intruder", "namespace": namespace_of(neighbour)}
    with forbidden():
        owner.apply({"apiVersion": version, "kind": kind, "metadata": metadata})


@pytest.mark.parametrize("kind", INSIDE)
def test_all_clouds_at_once_are_not_listed(owner: Impersonated, kind: str) -> None:
    with forbidden():
        owner.items(path(kind), "")


@pytest.mark.parametrize("kind", LIMITS)
def test_quotas_and_limits_are_seen_and_cannot_be_changed(owner: Impersonated, tenant: Tenant, kind: str) -> None:
    mine = path(kind, namespace_of(tenant))
    before = owner.items(mine, "")
    for one in before:
        name = one["metadata"]["name"]
        with forbidden():
            owner.delete(f"{mine}/{name}")
        metadata = {"name": name, "namespace": namespace_of(tenant)}
        with forbidden():
            owner.apply({"apiVersion": "v1", "kind": kind, "metadata": metadata, "spec": {}})
    with forbidden():
        owner.delete(mine, {"labelSelector": "freehold/cloud"})
    assert [one["spec"] for one in owner.items(mine, "")] == [one["spec"] for one in before] != []


def test_the_own_namespace_keeps_its_labels_and_stays(owner: Impersonated, tenant: Tenant) -> None:
    name = namespace_of(tenant)
    with forbidden():
        owner.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"mine": "yes"}}})
    with forbidden():
        owner.delete(path("Namespace", name=name))


@pytest.mark.parametrize(
    "address",
    [
        *("/api/v1/namespaces", "/api/v1/nodes", "/api/v1/persistentvolumes", f"{RBAC}/clusterroles"),
        *(f"{RBAC}/clusterrolebindings", "/apis/scheduling.k8s.io/v1/priorityclasses"),
        *("/apis/storage.k8s.io/v1/storageclasses", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"),
        *("/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations", "/metrics", "/logs/"),
        *("/api/v1/namespaces/kube-system/secrets", "/api/v1/namespaces/default/pods"),
    ],
)
def test_what_belongs_to_the_cluster_is_out_of_reach(owner: Impersonated, address: str) -> None:
    with forbidden():
        owner.get(address)


def test_the_provider_is_out_of_reach(owner: Impersonated, lane: KubernetesLane) -> None:
    for kind in INSIDE:
        with forbidden():
            owner.items(path(kind, lane.identities.namespace), "")
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    with forbidden():
        owner.post(f"{path('ServiceAccount', lane.identities.namespace, 'worker')}/token", request)


@pytest.mark.parametrize("role", ["cluster-admin", "freehold-driver", "system:node"])
def test_nobody_gets_more_rights_by_handing_them_out(
    owner: Impersonated, lane: KubernetesLane, tenant: Tenant, role: str
) -> None:
    if role == "freehold-driver":
        role = f"{role}-{lane.cell.installation[:8]}"
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "more", "namespace": namespace_of(tenant)},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": owner.user}],
    }
    with forbidden():
        owner.post(f"{RBAC}/namespaces/{namespace_of(tenant)}/rolebindings", binding)


@pytest.mark.parametrize("kind", ["NodePort", "LoadBalancer"])
def test_no_port_of_a_node_and_no_load_balancer_is_opened(owner: Impersonated, tenant: Tenant, kind: str) -> None:
    metadata = {"name": "open", "namespace": namespace_of(tenant)}
    ports = [{"port": 80, "protocol": "TCP"}]
    service = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"type": kind, "ports": ports}}
    with pytest.raises(Permanent, match="exceeded quota"):
        owner.apply(service)
    closed = {**service, "spec": {"type": "ClusterIP", "ports": ports}}
    owner.apply(closed)
    with pytest.raises(Permanent, match="exceeded quota"):
        owner.apply(service)


def test_what_exceeds_the_plan_is_refused(owner: Impersonated, tenant: Tenant) -> None:
    metadata = {"name": "huge", "namespace": namespace_of(tenant)}
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Ti"}}}
    with pytest.raises(Permanent, match="exceeded quota"):
        owner.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": claim})
    limits = {"cpu": "64", "memory": "1Gi"}
    containers = [{"name": "c", "image": "none", "resources": {"limits": limits}}]
    with pytest.raises(Permanent, match="exceeded quota"):
        owner.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": containers}})


def test_a_pod_that_says_nothing_gets_limits_and_no_token(owner: Impersonated, tenant: Tenant) -> None:
    metadata = {"name": "plain", "namespace": namespace_of(tenant)}
    spec = {"containers": [{"name": "c", "image": "none"}], "nodeSelector": {"nobody": "here"}}
    made = owner.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    (container,) = made["spec"]["containers"]
    assert container["resources"]["limits"].keys() == {"cpu", "memory", "ephemeral-storage"}
    assert "volumeMounts" not in container
    owner.delete(path("Pod", namespace_of(tenant), "plain"))


def test_the_cluster_holds_policies_that_allow_what_is_listed_and_nothing_else(
    lane: KubernetesLane, tenant: Tenant
) -> None:
    """As the apiserver has them, with whatever it made of them."""
    policies = lane.api.items(path("NetworkPolicy", namespace_of(tenant)), "")
    labels = lane.api.get(path("Namespace", name=namespace_of(tenant)))["metadata"]["labels"]
    found = {way.named for way in every_way(lane.cell, labels) if reachability.allowed(policies, *way.question)}
    assert found == ALLOWED
