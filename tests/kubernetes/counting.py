"""A client that counts what it asks."""

from collections.abc import Mapping
from typing import Any

from k8s.kube.api import Api
from k8s.kube.driver import KubeCluster
from tests.contract.kubernetes_lane import KubernetesLane


class CountingApi(Api):
    def __init__(self, kubeconfig: str) -> None:
        super().__init__(kubeconfig, None)
        self.asked: list[tuple[str, str]] = []
        self.used: set[tuple[str, str]] = set()  # (verb, resource) as RBAC names them

    def _open(self, method: str, path: str, query: dict[str, str], *rest: Any, **more: Any) -> Any:
        self.asked.append((method, path))
        self.used.add(("get", "nodes/metrics") if more.get("base") else _right(method, path, query))
        return super()._open(method, path, query, *rest, **more)

    @property
    def writes(self) -> list[tuple[str, str]]:
        return [(method, path) for method, path in self.asked if method != "GET"]


def _right(method: str, path: str, query: Mapping[str, str]) -> tuple[str, str]:
    parts = path.strip("/").split("/")
    inside = parts[2:] if parts[0] == "api" else parts[3:]  # after the group and its version
    if inside[0] == "namespaces" and len(inside) > 2:
        inside = inside[2:]
    resource = "/".join((inside[0], *inside[2:]))
    one = len(inside) > 1
    if method == "GET":
        return ("watch" if query.get("watch") else "get" if one else "list"), resource
    return {"PATCH": "patch", "POST": "create", "DELETE": "delete" if one else "deletecollection"}[method], resource


def counted(lane: KubernetesLane) -> tuple[CountingApi, KubeCluster]:
    """A second driver of the lane's installation, as another worker process would have it."""
    api = CountingApi(lane.kubeconfig)
    return api, KubeCluster(api, lane.cell, lane.key, lane.results)
