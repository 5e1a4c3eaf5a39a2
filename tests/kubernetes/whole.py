"""A whole Freehold whose clouds are in the cluster of this lane: started as people start it, with its namespaces removed.

It has the rights of the worker's ServiceAccount, as k8s/deploy ships them, and no others.
"""

import os
import secrets
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

from k8s.kube.api import Api, path
from k8s.testbed.place import POD_RANGE, here
from tests.contract.identities import Identities
from tests.contract.kubernetes_lane import BRIDGE_ADDRESS, images
from tests.journey.stack import Stack, until
from tests.kubernetes.registries import own_certificates

ON_TESTBED = Path(os.environ.get("KUBECONFIG", "")).resolve() == here().kubeconfig


class ClusterStack(Stack):
    """The provider's processes on this machine, everybody's apps in pods."""

    def __init__(
        self, home: Path, more: Mapping[str, str] | None = None, build_env: Mapping[str, str] | None = None
    ) -> None:
        """build_env: with it builds reach registries, and trust what this machine does."""
        admin = os.environ["KUBECONFIG"]
        home.parent.mkdir(parents=True, exist_ok=True)
        self._identities = Identities(admin, home.parent, secrets.token_hex(4))
        self._images = images()
        self.late_image = f"docker.io/freehold/late:{secrets.token_hex(4)}"
        query = {f"image.{name}": image for name, image in self._images.items()}
        if ON_TESTBED:
            query["pods"] = POD_RANGE
        query |= {"image.node": self.late_image, "port_ranges": "false", "request_percent": "5"}
        lists: dict[str, object] = {f"build.{name}": value for name, value in (build_env or {}).items()}
        if build_env:
            lists["trusted"] = [home / "ca.pem", home / "sandbox-ca.pem", *own_certificates()]
        host = os.environ.get("FREEHOLD_TEST_BUNDLE_HOST", BRIDGE_ADDRESS)
        parameters = urlencode(query | lists, doseq=True)
        environment = {
            "CLUSTER_URL": f"kubernetes://{self._identities.kubeconfig('worker')}?{parameters}",
            "FREEHOLD_HOST_ADDR": host,
        }
        super().__init__(home, environment=environment | dict(more or {}))
        self.api = Api(admin, None)

    @property
    def installation(self) -> str:
        return (self.home / "installation").read_text().strip()

    def namespaces(self, **labels: str) -> list[dict[str, object]]:
        selector = ",".join([f"freehold/installation={self.installation}", *(f"{k}={v}" for k, v in labels.items())])
        return self.api.items(path("Namespace"), selector, metadata_only=True)

    def objects(self, kind: str, namespace: str) -> list[dict[str, object]]:
        return self.api.items(path(kind, namespace), "")

    def bring_late_image(self) -> None:
        """Until now no node had the image for Node."""
        command = (*here().ctr, "images", "tag", self._images["node"], self.late_image)
        subprocess.run(command, check=True, capture_output=True)

    def clear(self) -> None:
        """Take its namespaces out of the cluster."""
        for namespace in self.namespaces():
            self.api.delete(path("Namespace", name=namespace["metadata"]["name"]))  # type: ignore[index]
        until(lambda: not self.namespaces(), 300, "no namespace left")
        self._identities.close()
        subprocess.run((*here().ctr, "images", "rm", self.late_image), capture_output=True)
