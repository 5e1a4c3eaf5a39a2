"""Three hundred clouds in a control plane: what one more costs its client, the apiserver and etcd, and what idling costs."""

import base64
import gc
import json
import os
import re
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import kubernetes

from k8s.bundles.client import ResultsClient
from k8s.cell import Cell
from k8s.kube.api import Api, path
from k8s.kube.driver import KubeCluster
from k8s.kube.watching import Watch
from k8s.kube.whereabouts import Whereabouts
from k8s.manifests.cloud import cloud
from k8s.manifests.instance import instance
from k8s.naming import Manifest
from k8s.specs import CloudSpec, InstanceSpec, Limits, MicroKind, MicroSpec
from k8s.testbed.place import Place
from tests.bench.table import Figure, median
from tests.contract.lanes import until
from tests.kubernetes.counting import CountingApi

FEW, MANY, LAST = 10, 300, 50
IDLE_S = 60.0
KEY = b"k" * 32
IMAGES = dict.fromkeys(("python", "node", "builder"), "none")
CELL = Cell("6f6d3a52-0000-4000-8000-000000000300", IMAGES, "http://bundles:8009", port_ranges=False)
OURS = f"freehold/installation={CELL.installation}"
MICRO = MicroSpec("main", MicroKind.PROCESS, "python3.11", "main/app", "python3 main.py", limits=Limits())


class Fleet:
    """Clouds with one sleeping instance each."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.api, self.onlooker = CountingApi(str(place.kubeconfig)), Api(str(place.kubeconfig), None)
        self.driver = KubeCluster(self.api, CELL, KEY, ResultsClient("http://127.0.0.1:9", KEY))
        self.made_s: list[float] = []
        self.cpu_ms: list[float] = []
        self.calls: list[int] = []

    def grow(self, to: int) -> None:
        """Clouds alone, each measured; the first one also looks for what a cluster needs once."""
        for number in range(len(self.made_s), to):
            before, began, used = len(self.api.asked), time.monotonic(), time.thread_time()
            self.driver.ensure_cloud(_cloud(number))
            self.made_s.append(time.monotonic() - began)
            self.cpu_ms.append((time.thread_time() - used) * 1000)
            self.calls.append(len(self.api.asked) - before)

    def install(self, since: int) -> None:
        for number in range(since, len(self.made_s)):
            self.driver.apply_instance(_instance(number))

    def idle(self) -> tuple[float, float]:
        """Requests a minute of an observer with its sweep, and of everybody, counted by the apiserver.

        As the observer does: streams go on between its calls. They were opened before the minute begins.
        """
        for _ in self.driver.watch(10, resume=True):
            pass
        everybody, before, began = self._served(), len(self.api.asked), time.monotonic()
        self.driver.list_instances()
        for _ in self.driver.watch(IDLE_S, resume=True):
            pass
        minutes = (time.monotonic() - began) / 60
        return (len(self.api.asked) - before) / minutes, (self._served() - everybody) / minutes

    def settle(self) -> None:
        """Until the cluster's own controllers have seen every quota and every Deployment."""
        until(lambda: all("hard" in quota["status"] for quota in self._all("ResourceQuota")), 300)
        until(lambda: all("observedGeneration" in one["status"] for one in self._all("Deployment")), 300)

    def _all(self, kind: str) -> list[Manifest]:
        return self.onlooker.items(path(kind), OURS)

    def _served(self) -> float:
        lines = list(self.onlooker.lines("/metrics", {}, read_timeout_s=30))
        return sum(float(line.rsplit(b" ", 1)[1]) for line in lines if line.startswith(b"apiserver_request_total{"))


def _cloud(number: int) -> CloudSpec:
    return CloudSpec(f"bench{number}", f"cloud-bench{number}", 4000, 4096, 4096, 20)


def _instance(number: int) -> InstanceSpec:
    digest = "sha256:" + "0" * 64
    return InstanceSpec(f"bench{number}", f"cloud-bench{number}", f"ins{number}", 1, 0, digest, "a.example", (MICRO,))


def measure_clouds(place: Place) -> list[Figure]:
    fleet = Fleet(place)
    fleet.grow(FEW)
    fleet.install(0)
    fleet.settle()
    few = fleet.idle()
    empty = Costs.now(place)
    # Those that are compared begin in a cluster that is done with the others.
    for count in (FEW + LAST, MANY - LAST, MANY):
        fleet.grow(count)
        fleet.settle()
    with_clouds = Costs.now(place)
    fleet.install(FEW)
    fleet.settle()
    with_instances = Costs.now(place)
    many = fleet.idle()
    return [
        *_creating(fleet),
        Figure(f"idle requests a minute, {FEW} clouds", few[0], ""),
        Figure(f"idle requests a minute, {MANY} clouds", many[0], ""),
        Figure(f"idle requests, {MANY} clouds / {FEW}", many[0] / few[0], "×", 1.1),
        Figure(f"requests a minute of the whole idle cluster, {FEW} clouds", few[1], ""),
        Figure(f"requests a minute of the whole idle cluster, {MANY} clouds", many[1], ""),
        *_relisting(fleet),
        *with_clouds.since(empty, MANY - FEW, "cloud", len(cloud(_cloud(0), CELL))),
        *with_instances.since(with_clouds, MANY - FEW, "sleeping instance", len(instance(_instance(0), CELL, ""))),
    ]


def _creating(fleet: Fleet) -> list[Figure]:
    objects = len(cloud(_cloud(0), CELL))
    first, last = median(fleet.made_s[FEW : FEW + LAST]), median(fleet.made_s[-LAST:])
    return [
        Figure("creating a cloud, p50", median(fleet.made_s) * 1000, "ms"),
        Figure("calls for a cloud", median(fleet.calls), "", objects + 1),
        Figure(f"the last {LAST} of {MANY} clouds / the first {LAST}", last / first, "×", 1.2),
        Figure("client CPU for a cloud, p50", median(fleet.cpu_ms), "ms", 15),
    ]


def _relisting(fleet: Fleet) -> list[Figure]:
    """All Deployments once more, as after a 410: our way, and the typed client's."""
    configuration = kubernetes.client.Configuration()
    kubernetes.config.load_kube_config(str(fleet.place.kubeconfig), client_configuration=configuration)
    typed = kubernetes.client.AppsV1Api(kubernetes.client.ApiClient(configuration))
    watch = Watch(fleet.onlooker, CELL.installation, lambda cloud_id, instance_id: None, Whereabouts(()))
    ours, theirs = [], []
    for _ in range(7):
        ours.append(_cpu_s(lambda: watch._list("Deployment", True)))
        theirs.append(
            _cpu_s(lambda: typed.list_deployment_for_all_namespaces(label_selector=OURS, resource_version="0"))
        )
    return [
        Figure(f"relist of {MANY} Deployments, CPU", median(ours) * 1000, "ms"),
        Figure("relist / the typed client's", median(ours) / median(theirs), "×", 0.35),
    ]


def _cpu_s(list_all: Callable[[], object]) -> float:
    """With no garbage of the last round about, which would be looked through while this one makes objects."""
    gc.collect()
    began = time.process_time()
    list_all()
    return time.process_time() - began


@dataclass(frozen=True)
class Costs:
    """What etcd keeps of clouds, and what the apiserver has taken, at one moment."""

    keys: int
    etcd_bytes: int
    memory_bytes: int
    cpu_s: float

    @classmethod
    def now(cls, place: Place) -> "Costs":
        pid = _apiserver(place)
        resident = re.findall(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[0]
        found = [one for one in _in_etcd(place) if b"/cloud-bench" in one[0]]
        size = sum(len(key) + len(value) for key, value in found)
        return cls(len(found), size, int(resident) * 1024, _taken_s(place))

    def since(self, before: "Costs", count: int, what: str, objects: int) -> list[Figure]:
        return [
            Figure(f"objects that we make for a {what}", objects, ""),
            Figure(f"objects in etcd for a {what}", (self.keys - before.keys) / count, ""),
            Figure(f"etcd for a {what}", (self.etcd_bytes - before.etcd_bytes) / count / 1024, "KiB"),
            Figure(f"apiserver memory for a {what}", (self.memory_bytes - before.memory_bytes) / count / 1024, "KiB"),
            Figure(f"apiserver CPU for a {what}", (self.cpu_s - before.cpu_s) / count * 1000, "ms"),
        ]


def _apiserver(place: Place) -> str:
    return (place.state / "pid" / "apiserver").read_text().split()[0]


def _taken_s(place: Place) -> float:
    """Processor time of the apiserver so far."""
    fields = Path(f"/proc/{_apiserver(place)}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _in_etcd(place: Place) -> list[tuple[bytes, bytes]]:
    """Every key with its value, as they are now: history, which is compacted every five minutes, is not counted."""
    everything = {
        "key": base64.b64encode(b"/registry/").decode(),
        "range_end": base64.b64encode(b"/registry0").decode(),
    }
    url, body = f"http://127.0.0.1:{place.etcd_port}/v3/kv/range", json.dumps(everything).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
        found = json.loads(answer.read())["kvs"]
    return [(base64.b64decode(one["key"]), base64.b64decode(one["value"])) for one in found]
