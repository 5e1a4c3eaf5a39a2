"""Waking an app whose clouds are in a Kubernetes, against the plainest thing there: scaling a Deployment from 0 to 1.

Both take turns on the same node. The bare one has the image, limits, security and probe of ours, and the same program: its
code is in a ConfigMap, so that nothing needs to be fetched, and nobody asks who comes.
"""

import copy
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from k8s.kube.api import Api, path
from k8s.naming import INSTANCE, Manifest
from tests.bench.sleeping import wake
from tests.bench.table import Figure, median
from tests.contract.lanes import until
from tests.journey import sleeping
from tests.journey.apps import CHATTY
from tests.journey.people import Document, Person
from tests.kubernetes.whole import ClusterStack

ROUNDS = 9
LIMIT = 0.7
_MERGE = "application/merge-patch+json"


def measure() -> list[Figure]:
    """KUBECONFIG names the cluster."""
    folder = Path(tempfile.mkdtemp(prefix="freehold-bench-waking-"))
    stack = ClusterStack(folder / "home")
    try:
        stack.start()
        return _measure(stack, Person(stack, "bench"))
    finally:
        stack.stop()  # first: what is taken from a cloud whose row is there comes back
        stack.clear()
        shutil.rmtree(folder, ignore_errors=True)


def _measure(stack: ClusterStack, owner: Person) -> list[Figure]:
    instance = owner.running(owner.publish("chatty", CHATTY))
    owner.web.get(instance["url"])
    bare = Bare(stack.api, _deployment_of(stack, instance), f"bench-{stack.installation[:8]}")
    woken, scaled = [], []
    try:
        bare.scale_up()  # what only the first time costs
        for _ in range(ROUNDS):
            bare.scale_down()
            sleeping.put_to_sleep(owner, instance)
            until(lambda: not _pods(stack, instance), 60)
            woken.append(wake(owner, instance))
            scaled.append(bare.scale_up())
    finally:
        bare.remove()
    return [
        Figure("waking in a pod to first byte, p50", median(woken), "s"),
        Figure("bare scale-up to Ready, p50", median(scaled), "s"),
        Figure("waking / bare scale-up to Ready", median(woken) / median(scaled), "×", LIMIT),
    ]


def _deployment_of(stack: ClusterStack, instance: Document) -> Manifest:
    (deployment,) = stack.api.items(path("Deployment"), f"{INSTANCE}={instance['id']}")
    return deployment


def _pods(stack: ClusterStack, instance: Document) -> list[Manifest]:
    return stack.api.items(path("Pod"), f"{INSTANCE}={instance['id']}", metadata_only=True)


class Bare:
    """A Deployment like `ours` with nothing of Freehold in it, in a namespace of its own; made without a replica."""

    def __init__(self, api: Api, ours: Manifest, namespace: str) -> None:
        self.api, self.namespace = api, namespace
        self.address = path("Deployment", namespace, "bare")
        api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        code = {"metadata": {"name": "code"}, "data": {"main.py": CHATTY["main.py"]}}
        api._json("POST", f"/api/v1/namespaces/{namespace}/configmaps", body=code)
        spec = {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "bare"}},
            "template": _plain(ours["spec"]["template"]),
        }
        body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "bare"}, "spec": spec}
        api._json("POST", path("Deployment", namespace), body=body)

    def scale_up(self) -> float:
        """Seconds until it is Ready, as whoever watches the apiserver learns it."""
        began = time.monotonic()
        version = self._scale(1)["metadata"]["resourceVersion"]
        query = {"watch": "true", "fieldSelector": "metadata.name=bare", "resourceVersion": version}
        lines = self.api.lines(path("Deployment", self.namespace), query, read_timeout_s=60)
        for line in lines:
            if b'"readyReplicas":1' in line:
                break
        else:
            raise AssertionError("the apiserver ended its stream before the bare one was Ready")
        return time.monotonic() - began

    def scale_down(self) -> None:
        self._scale(0)
        until(lambda: not self.api.items(path("Pod", self.namespace), "app=bare", metadata_only=True), 90)

    def remove(self) -> None:
        self.api.delete(path("Namespace", name=self.namespace))

    def _scale(self, replicas: int) -> Manifest:
        change = {"spec": {"replicas": replicas}}
        return self.api._json("PATCH", self.address, body=change, content_type=_MERGE)


def _plain(template: Manifest) -> Manifest:
    """The pod of ours, started without a launcher."""
    spec: dict[str, Any] = copy.deepcopy(template["spec"])
    (one,) = spec["containers"]
    one["command"], one["workingDir"] = ["/usr/bin/python3", "main.py"], "/code"
    one["env"] = [{"name": "PORT", "value": "8080"}, {"name": "PYTHONUNBUFFERED", "value": "1"}]
    one["volumeMounts"] = [{"name": "tmp", "mountPath": "/tmp"}, {"name": "code", "mountPath": "/code"}]  # noqa: S108
    one.pop("envFrom", None)
    spec["volumes"] = [{"name": "tmp", "emptyDir": {}}, {"name": "code", "configMap": {"name": "code"}}]
    for name in ("serviceAccountName", "serviceAccount", "hostAliases"):
        spec.pop(name, None)
    return {"metadata": {"labels": {"app": "bare"}}, "spec": spec}
