"""A client that counts what it asks."""

from typing import Any

from k8s.kube.api import Api
from k8s.kube.driver import KubeCluster
from tests.contract.kubernetes_lane import KubernetesLane


class CountingApi(Api):
    def __init__(self, kubeconfig: str) -> None:
        super().__init__(kubeconfig, None)
        self.asked: list[tuple[str, str]] = []

    def _open(self, method: str, path: str, *rest: Any, **more: Any) -> Any:
        self.asked.append((method, path))
        return super()._open(method, path, *rest, **more)

    @property
    def writes(self) -> list[tuple[str, str]]:
        return [(method, path) for method, path in self.asked if method != "GET"]


def counted(lane: KubernetesLane) -> tuple[CountingApi, KubeCluster]:
    """A second driver of the lane's installation, as another worker process would have it."""
    api = CountingApi(lane.kubeconfig)
    return api, KubeCluster(api, lane.cell, lane.key, lane.results)
