"""The lane on a real Kubernetes: the one that KUBECONFIG names, by default the testbed of this machine.

Everything that the provider does it does as the provider: drivers run as the worker's ServiceAccount, the bundle server as
its own, each with the rights that k8s/deploy ships. What a test does to the cluster by itself (`api`), it does as KUBECONFIG
says.

On another cluster FREEHOLD_TEST_IMAGES (JSON: runtime → image), FREEHOLD_TEST_IMAGE (one with a Python, by digest) and
FREEHOLD_TEST_BUNDLE_HOST (how pods reach this machine) say what the testbed knows by itself.
"""

import json
import os
import secrets
import socket
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

from k8s.bundles.client import ResultsClient
from k8s.bundles.server import BundleServer
from k8s.cell import Cell
from k8s.cluster import Cluster
from k8s.kube.api import Api, path
from k8s.kube.driver import KubeCluster
from k8s.specs import CloudSpec
from k8s.testbed import images as images_of_the_node
from k8s.testbed import node, runtime_images
from k8s.testbed.place import POD_RANGE, here
from tests.contract.identities import Identities
from tests.contract.lanes import fetched, packed, put, until, zipped

BRIDGE_ADDRESS = "10.244.0.1"
_RETRIED_S = 3.0


class KubernetesLane:
    """An installation of its own in the cluster, with a bundle server in this process."""

    # Deleting begins at once; Kubernetes looks whether pods are gone at growing intervals, of over 30 s when it is busy.

    def __init__(self, folder: Path) -> None:
        self.admin = os.environ["KUBECONFIG"]
        self.on_testbed = Path(self.admin).resolve() == here().kubeconfig
        self.store, self.key = folder / "store", secrets.token_bytes(32)
        port = _free_port()
        host = os.environ.get("FREEHOLD_TEST_BUNDLE_HOST", BRIDGE_ADDRESS)
        bundles = f"http://{host}:{port}"
        self.cell = Cell(str(uuid.uuid4()), images(), bundles, pods=(POD_RANGE,), port_ranges=False, request_percent=5)
        self.identities = Identities(self.admin, folder, self.cell.installation[:8])
        self.kubeconfig = self.identities.kubeconfig("worker")
        self.results = ResultsClient(f"http://127.0.0.1:{port}", self.key)
        self.api = Api(self.admin, None)
        self.driver = self.driver_as("worker")
        self.server = BundleServer(("0.0.0.0", port), self.store, self.key, self.driver_as("bundles"))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def cluster(self) -> Cluster:
        return self.driver

    def artifact(self, files: Mapping[str, str]) -> str:
        return put(self.store, packed(files))

    def source(self, files: Mapping[str, str]) -> str:
        return put(self.store, zipped(files))

    def get(self, upstream: str, path: str = "/") -> str:
        """A proxy on every node learns of a Ready pod a moment later: the gate, too, tries a refused connection again."""
        deadline = time.monotonic() + _RETRIED_S
        while True:
            try:
                return fetched(upstream, path)
            except ConnectionRefusedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def image(self) -> str:
        """The runtime image for Python under its digest. Another cluster must name one that its nodes can pull."""
        named = os.environ.get("FREEHOLD_TEST_IMAGE")
        return named or images_of_the_node.name_by_digest(here(), self.cell.images["python"])

    def ensure_counted(self, cloud: CloudSpec) -> None:
        """The cloud, with its quotas in force: until the cluster's own controller has seen a change, the old ones count."""
        self.cluster.ensure_cloud(cloud)
        quotas = path("ResourceQuota", cloud.namespace)
        until(lambda: all(q["status"].get("hard") == q["spec"]["hard"] for q in self.api.items(quotas, "")))

    def crash(self) -> None:
        """What turns specs into processes are Kubernetes' own programs. Those of somebody else's cluster are left alone."""
        if self.on_testbed:
            node.crash(here())
        self.driver, self.server.wishes = self.driver_as("worker"), self.driver_as("bundles")

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        for namespace in self._namespaces():
            self.api.delete(path("Namespace", name=namespace["metadata"]["name"]))
        until(lambda: not self._namespaces(), 120)
        self.identities.close()

    def _namespaces(self) -> list[dict[str, object]]:
        return self.api.items(path("Namespace"), f"freehold/installation={self.cell.installation}", metadata_only=True)

    def driver_as(self, account: str) -> KubeCluster:
        """Of this installation, as another process of the provider would have it."""
        return KubeCluster(Api(self.identities.kubeconfig(account), None), self.cell, self.key, self.results)


def images() -> dict[str, str]:
    named = os.environ.get("FREEHOLD_TEST_IMAGES")
    if named:
        return dict(json.loads(named))
    return runtime_images.ensure(here())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])
