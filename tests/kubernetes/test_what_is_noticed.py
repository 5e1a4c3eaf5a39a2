"""What somebody does by hand to objects of ours is told by the watch, and undone by applying again."""

import contextlib
import json
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import urllib3

from k8s import naming
from k8s.kube.api import path
from k8s.specs import Change
from tests.contract.apps import Tenant
from tests.contract.kubernetes_lane import KubernetesLane
from tests.contract.lanes import until
from tests.kubernetes.counting import CountingApi, counted

MERGE = "application/merge-patch+json"


class Observer:
    """A process that watches, as the provider's does: with what it was told of one cloud, and what its client asked."""

    def __init__(self, lane: KubernetesLane, cloud_id: str) -> None:
        self.api, self.driver = counted(lane)
        self.told: queue.SimpleQueue[Change] = queue.SimpleQueue()
        self.rounds = 0
        self._cloud_id = cloud_id
        self._over = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while not self._over.is_set():
            for change in self.driver.watch(1, resume=True):
                if change.cloud_id == self._cloud_id:
                    self.told.put(change)
            self.rounds += 1

    def close(self) -> None:
        self._over.set()

    def hears(self, wanted: Callable[[Change], bool], within_s: float) -> Change:
        while True:
            change = self.told.get(timeout=within_s)
            if wanted(change):
                return change

    def is_quiet(self, silence_s: float = 1.0) -> bool:
        """Nothing is told for so long; what was told before is dropped."""
        with contextlib.suppress(queue.Empty):
            while True:
                self.told.get_nowait()
        try:
            self.told.get(timeout=silence_s)
        except queue.Empty:
            return True
        return False


@pytest.fixture
def observer(lane: KubernetesLane, tenant: Tenant) -> Iterator[Observer]:
    made = Observer(lane, tenant.cloud_id)
    yield made
    made.close()


def by_hand(api: CountingApi, address: str, change: dict[str, Any]) -> None:
    """As `kubectl patch` does it."""
    answer = api._pool.request(
        "PATCH",
        f"{api._host}{address}?fieldManager=kubectl-patch",
        body=json.dumps(change).encode(),
        headers={"Content-Type": MERGE, **api._credentials()},
        timeout=urllib3.Timeout(10),
    )
    assert answer.status == 200, answer.data


DEPLOYMENT, SERVICE, SECRET = "Deployment", "Service", "Secret"
ALTERATIONS = [
    (DEPLOYMENT, {"spec": {"replicas": 3}}),
    (DEPLOYMENT, {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 600}}}}),
    (DEPLOYMENT, {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "theirs"}]}}}}),
    (DEPLOYMENT, {"metadata": {"labels": {naming.CLOUD: None}}}),
    (SERVICE, {"spec": {"selector": {naming.MICRO: "nobody"}}}),
    (SECRET, {"data": {"freehold.bundle-token": "Z3Vlc3NlZA=="}}),
    (SECRET, {"data": None}),
]


@pytest.mark.parametrize(("kind", "change"), ALTERATIONS)
def test_an_altered_object_of_an_instance_is_told_and_put_right(
    lane: KubernetesLane, tenant: Tenant, observer: Observer, kind: str, change: dict[str, Any]
) -> None:
    spec = tenant.instance(replicas=0)
    observer.driver.apply_instance(spec)
    observer.hears(lambda change: change.instance_id == spec.instance_id, 20)
    until(observer.is_quiet)
    assert not observer.driver.apply_instance(spec)
    whole = naming.micro_name(spec.instance_id, "main") if kind != SECRET else naming.instance_name(spec.instance_id)
    address = path(kind, spec.namespace, whole)
    before = _content(lane.api.get(address))
    by_hand(observer.api, address, change)
    assert _content(lane.api.get(address)) != before
    observer.hears(lambda change: change.instance_id == spec.instance_id and change.altered, 1)
    assert observer.driver.apply_instance(spec)
    assert _content(lane.api.get(address)) == before


@pytest.mark.parametrize(
    ("kind", "name", "change"),
    [
        ("ResourceQuota", "apps", {"spec": {"hard": {"limits.cpu": "1k"}}}),
        ("NetworkPolicy", "closed", {"spec": {"policyTypes": ["Ingress"]}}),
        ("NetworkPolicy", "apps", None),
        ("LimitRange", "defaults", None),
        ("ServiceAccount", "app", {"automountServiceAccountToken": True}),
        ("Namespace", "", {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}}),
    ],
)
def test_what_holds_a_cloud_together_is_watched_too(
    lane: KubernetesLane, tenant: Tenant, observer: Observer, kind: str, name: str, change: dict[str, Any] | None
) -> None:
    observer.driver.ensure_cloud(tenant.cloud())
    mine = lambda change: change == Change(tenant.cloud_id) and change.altered  # noqa: E731
    observer.hears(mine, 20)  # whatever was there before is
    until(observer.is_quiet)
    observer.driver.ensure_cloud(tenant.cloud())
    namespace = tenant.cloud().namespace
    address = path(kind, name=namespace) if kind == "Namespace" else path(kind, namespace, name)
    before = _content(lane.api.get(address))
    if change is None:
        lane.api.delete(address)
    else:
        by_hand(observer.api, address, change)
    observer.hears(mine, 1)
    observer.driver.ensure_cloud(tenant.cloud())
    assert _content(lane.api.get(address)) == before


def test_our_own_writes_and_the_clusters_are_no_alterations(tenant: Tenant, observer: Observer) -> None:
    spec = tenant.instance()
    observer.driver.apply_instance(spec)
    until(lambda: tenant.status(spec).ready and observer.is_quiet(2), 60)
    observer.driver.apply_instance(replace(spec, generation=2, replicas=0))
    until(lambda: tenant.status(spec).stopped)
    told = [observer.told.get(timeout=1) for _ in range(observer.told.qsize())]
    assert told
    assert not any(change.altered for change in told)
    assert not observer.driver.apply_instance(replace(spec, generation=2, replicas=0))


def test_a_watch_that_goes_on_asks_nothing_anew(tenant: Tenant, observer: Observer) -> None:
    spec = tenant.instance(replicas=0)
    observer.driver.apply_instance(spec)
    observer.hears(lambda change: change.instance_id == spec.instance_id, 20)
    until(observer.is_quiet)
    observer.api.asked.clear()
    several = observer.rounds + 4
    until(lambda: observer.rounds >= several)
    assert observer.api.asked == []


def _content(found: dict[str, Any]) -> dict[str, Any]:
    """Without what the server counts and notes."""
    metadata = {key: found["metadata"].get(key, {}) for key in ("name", "labels")}
    rest = {key: value for key, value in found.items() if key not in ("metadata", "status", "secrets")}
    return {**rest, "metadata": metadata}
