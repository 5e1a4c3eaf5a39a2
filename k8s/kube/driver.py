"""The cluster port on Kubernetes. See k8s.cluster.Cluster for what every verb promises."""

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from k8s import checks, naming
from k8s.bundles import tokens
from k8s.bundles.client import ResultsClient
from k8s.bundles.tokens import Bearer, Kind
from k8s.cell import Cell
from k8s.errors import NotFound, Temporary
from k8s.kube import builds, growing, logs, measuring, observe, terminating, whereabouts
from k8s.kube.api import Api, path
from k8s.kube.applied import Applied
from k8s.kube.jobs import Jobs
from k8s.kube.observe import Objects, annotation, number
from k8s.kube.ownership import is_intact
from k8s.kube.watching import Watch
from k8s.manifests.build import build
from k8s.manifests.cloud import cloud, prerequisites
from k8s.manifests.instance import instance
from k8s.naming import Manifest
from k8s.specs import (
    BuildSpec,
    Change,
    CloudSpec,
    CloudUsage,
    InstanceSpec,
    InstanceStatus,
    JobSpec,
    JobStatus,
    LogLine,
    MicroKind,
    MicroPhase,
    Role,
    Sample,
)

# What an instance consists of, in the order of deletion: the Secret, which stands for the whole, at last.
_OWNED = ("Deployment", "Service", "Secret")
_WRITE_TRIES = 5
_IN_COLLECTIONS = ("Deployment", "Secret", "PersistentVolumeClaim")  # old servers delete Services one by one only


class KubeCluster:
    """One per process, shared by its threads. It remembers names of namespaces, which never change, and what it applied.

    key: what tokens for the bundle server are made with; the server has the same.
    """

    def __init__(self, api: Api, cell: Cell, key: bytes, results: ResultsClient) -> None:
        self._api, self._cell, self._key, self._results = api, cell, key, results
        self._jobs = Jobs(api, cell, key, self._namespace)
        self._namespaces: dict[str, str] = {}
        self._applied = Applied()
        self._whereabouts = whereabouts.Whereabouts(cell.pods)
        self._watch: Watch | None = None
        self._prepared = False
        self._lock = threading.Lock()

    # --- clouds -----------------------------------------------------------------------------------------------------

    def ensure_cloud(self, spec: CloudSpec) -> None:
        """One call per object and one to look; a list per kind to look where it is there already."""
        checks.require_id(spec.cloud_id)
        if self._applied.holds(spec):
            return
        self._prepare()
        there = self._cloud_objects(spec)
        for manifest in map(naming.stamped, cloud(spec, self._cell)):
            if not is_intact(manifest, there.get(_key(manifest))):
                self._api.apply(manifest)
        self._namespaces[spec.cloud_id] = spec.namespace
        self._applied.note(spec)

    def cloud_exists(self, cloud_id: str) -> bool:
        return bool(self._find_namespaces(cloud_id))

    def delete_cloud(self, cloud_id: str) -> None:
        self._applied.forget_cloud(cloud_id)
        for namespace in self._find_namespaces(cloud_id):
            self._api.delete(path("Namespace", name=namespace["metadata"]["name"]))

    def what_holds(self, cloud_id: str) -> str:
        found = self._api.items(path("Namespace"), self._cloud_labels(cloud_id))
        return "; ".join(filter(None, (terminating.cause(self._api, namespace) for namespace in found)))

    # --- instances --------------------------------------------------------------------------------------------------

    def apply_instance(self, spec: InstanceSpec) -> bool:
        """Reads what is there (three or four lists), then writes what differs and nothing else."""
        checks.check_instance(spec)
        if self._applied.holds(spec):
            return False
        labels = self._labels(spec.cloud_id, spec.instance_id)
        there = self._present(self._namespace(spec.cloud_id), labels, with_claim=spec.volume is not None)
        if any(number(found, naming.GENERATION) > spec.generation for found in there.values()):
            return False
        token = tokens.issue(self._key, Bearer(Kind.INSTANCE, spec.cloud_id, spec.instance_id))
        wanted = instance(spec, self._cell, token, self._attempts(spec, there))
        changed = [m for m in wanted if not is_intact(m, there.get(_key(m)))]
        needless = there.keys() - {_key(m) for m in wanted}
        if changed and not any(kind == "Deployment" for kind, _ in there):
            self._refuse_beside_leftovers(spec, labels)
        for manifest in changed:
            if _may_only_grow(spec, manifest, there):
                growing.grow(self._api, manifest)
            else:
                self._write(spec, manifest, there.get(_key(manifest)))
        for kind, name in sorted(needless):
            self._api.delete(path(kind, spec.namespace, name))
        self._applied.note(spec)
        return bool(changed or needless)

    def delete_instance(self, cloud_id: str, instance_id: str, *, delete_volume: bool) -> None:
        labels = naming.selector(self._labels(cloud_id, instance_id))
        self._applied.forget(cloud_id, instance_id)
        self._jobs.delete_of(cloud_id, instance_id)
        try:
            namespace = self._namespace(cloud_id)
        except NotFound:
            return
        for kind in (*_OWNED, *(("PersistentVolumeClaim",) if delete_volume else ())):
            if kind in _IN_COLLECTIONS:
                self._api.delete(path(kind, namespace), {"labelSelector": labels})
                continue
            for found in self._api.items(path(kind, namespace), labels, metadata_only=True):
                self._api.delete(path(kind, namespace, found["metadata"]["name"]))

    def instance_exists(self, cloud_id: str, instance_id: str) -> bool:
        """The object of a pod in which everything has ended is no more than a kubelet's note to itself."""
        labels = naming.selector(self._labels(cloud_id, instance_id))
        try:
            namespace = self._namespace(cloud_id)
        except NotFound:
            return False
        return (
            any(self._api.items(path(kind, namespace), labels, metadata_only=True) for kind in ("Secret", "Deployment"))
            or any(map(observe.runs, self._api.items(path("Pod", namespace), labels)))
            or self._claim_goes(namespace, labels)
            or self._jobs.run_still(namespace, cloud_id, instance_id)
        )

    def observe(self, cloud_id: str, instance_id: str) -> InstanceStatus:
        try:
            found = self._objects(cloud_id, instance_id)
        except NotFound:
            self._applied.saw(cloud_id, instance_id, None)
            raise
        status = observe.instance_status(cloud_id, instance_id, found, self._whereabouts.of)
        self._applied.saw(cloud_id, instance_id, status.generation)
        return self._with_last_words(status, found) if status.failed else status

    def list_instances(self) -> list[tuple[str, str]]:
        selector = f"{naming.INSTALLATION}={self._cell.installation},{naming.INSTANCE}"
        found = self._api.items(path("Secret"), selector, metadata_only=True)
        return sorted((m["metadata"]["labels"][naming.CLOUD], m["metadata"]["labels"][naming.INSTANCE]) for m in found)

    def watch(self, timeout_s: float, *, resume: bool = False) -> Iterator[Change]:
        if not (resume and self._watch and self._watch.goes_on):
            self._watch = Watch(self._api, self._cell.installation, self._applied.forget, self._whereabouts)
        return self._watch.changes(timeout_s, lasting=resume)

    def logs(
        self,
        cloud_id: str,
        instance_id: str,
        *,
        micro: str | None = None,
        tail: int = 200,
        follow: bool = False,
        stop: Callable[[], bool] | None = None,
    ) -> Iterator[LogLine]:
        """By Deployments and pods alone: who shows logs need not be able to read Secrets."""
        namespace, labels = self._namespace(cloud_id), self._labels(cloud_id, instance_id)

        def deployments() -> list[Manifest]:
            return self._api.items(path("Deployment", namespace), naming.selector(labels), metadata_only=True)

        micros = {annotation(deployment, naming.MICRO_NAME) for deployment in deployments()}
        if not micros or micro not in (None, *micros):
            raise NotFound(f"the instance {instance_id} has no process “{micro or ''}”")

        def pods() -> dict[str, logs.Source]:
            found = self._api.items(path("Pod", namespace), naming.selector(labels), metadata_only=True)
            named = {pod["metadata"]["name"]: observe.source(pod) for pod in found}
            return {pod: source for pod, source in named.items() if micro in (None, source.micro)}

        if not follow:
            return iter(logs.tail(self._api, namespace, pods(), tail))
        gone = lambda: not deployments() and not pods()  # noqa: E731
        return logs.Follower(self._api, namespace, pods, gone).lines(tail, stop)

    # --- builds -----------------------------------------------------------------------------------------------------

    def run_build(self, spec: BuildSpec) -> None:
        namespace = self._namespace(spec.cloud_id)
        try:
            self._api.get(path("Job", namespace, naming.build_name(checks.require_id(spec.job_id))), metadata_only=True)
        except NotFound:
            token = tokens.issue(self._key, Bearer(Kind.BUILD, spec.cloud_id, spec.job_id))
            for manifest in build(spec, self._cell, token):
                self._api.apply(manifest)

    def build_status(self, cloud_id: str, job_id: str) -> JobStatus:
        job = self._job(cloud_id, job_id)
        status = builds.status(cloud_id, job_id, job, self._build_pods(cloud_id, job_id))
        return builds.with_result(status, self._results.find(cloud_id, job_id)) if builds.succeeded(job) else status

    def build_logs(
        self, cloud_id: str, job_id: str, *, follow: bool = False, stop: Callable[[], bool] | None = None
    ) -> Iterator[LogLine]:
        self._job(cloud_id, job_id)
        namespace = self._namespace(cloud_id)

        def pods() -> dict[str, logs.Source]:
            return {pod["metadata"]["name"]: logs.Source("build") for pod in self._build_pods(cloud_id, job_id)}

        def over() -> bool:
            try:
                return builds.ended(self._job(cloud_id, job_id))
            except NotFound:
                return True

        if not follow:
            return iter(logs.tail(self._api, namespace, pods(), None))
        return logs.Follower(self._api, namespace, pods, over).lines(None, stop)

    def delete_build(self, cloud_id: str, job_id: str) -> None:
        try:
            namespace = self._namespace(cloud_id)
        except NotFound:
            return
        for kind in ("Job", "Secret"):
            self._api.delete(path(kind, namespace, naming.build_name(job_id)))

    # --- jobs of instances ------------------------------------------------------------------------------------------

    def run_job(self, spec: JobSpec) -> None:
        self._jobs.run(spec)

    def job_status(self, cloud_id: str, job_id: str) -> JobStatus:
        return self._jobs.status(cloud_id, job_id)

    def delete_jobs(self, cloud_id: str, instance_id: str) -> bool:
        return self._jobs.delete_of(cloud_id, instance_id)

    # --- what else is asked ------------------------------------------------------------------------------------------

    def usage(self, cloud_id: str) -> CloudUsage:
        namespace = self._namespace(cloud_id)
        return measuring.usage(self._api, namespace, self._api.items(path("Pod", namespace), ""))

    def samples(self) -> list[Sample]:
        return measuring.samples(self._api)

    def wants(self, cloud_id: str, instance_id: str, digest: str) -> bool:
        """Whether a pod of the instance is made from that artifact: while it updates, from the new one and the old."""
        labels, namespace = naming.selector(self._labels(cloud_id, instance_id)), self._namespace(cloud_id)
        pods = self._api.items(path("Pod", namespace), labels, metadata_only=True)
        if any(annotation(pod, naming.ARTIFACT) == digest for pod in pods):
            return True
        return self._jobs.wants(namespace, cloud_id, instance_id, digest)

    def comes_up(self, cloud_id: str, instance_id: str, pod: str, address: str) -> None:
        """For the observer, by an Event: the one object that tells and makes nothing happen by itself. Once for each pod.

        What is no pod's name of this instance, or no address of a pod, is passed over.
        """
        if naming.owner_of_pod(pod) == instance_id and self._whereabouts.may_be(address):
            labels = self._labels(cloud_id, instance_id)
            self._api.create(whereabouts.event(self._namespace(cloud_id), pod, labels, address))

    def build(self, cloud_id: str, job_id: str) -> BuildSpec:
        """As far as the bundle server must know it. Raises NotFound."""
        return builds.outline(cloud_id, self._namespace(cloud_id), job_id, self._job(cloud_id, job_id))

    # --- within -----------------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        """Once per process. Where the provider may not write cluster-scoped objects, its deployment has made them."""
        with self._lock:
            if not self._prepared:
                for manifest in map(naming.stamped, prerequisites()):
                    if _hash(self._found(path(manifest["kind"], name=manifest["metadata"]["name"]))) != _hash(manifest):
                        self._api.apply(manifest)
                self._prepared = True

    def _cloud_objects(self, spec: CloudSpec) -> dict[tuple[str, str], Manifest]:
        """{(kind, name): metadata} of what holds the cloud together. Raises Temporary while its namespace goes."""
        namespace = self._found(path("Namespace", name=spec.namespace))
        if namespace is None:
            return {}
        if namespace["metadata"].get("deletionTimestamp"):
            why = self.what_holds(spec.cloud_id)
            raise Temporary(f"the cloud {spec.cloud_id} is still being removed" + (f": {why}" if why else ""), 2.0)
        labels = naming.selector({naming.INSTALLATION: self._cell.installation, naming.CLOUD: spec.cloud_id})
        found = {("Namespace", spec.namespace): namespace}
        for kind in ("ResourceQuota", "LimitRange", "NetworkPolicy", "ServiceAccount"):
            for one in self._api.items(path(kind, spec.namespace), labels, metadata_only=True):
                found[kind, one["metadata"]["name"]] = one
        return found

    def _found(self, address: str) -> Manifest | None:
        try:
            return self._api.get(address, metadata_only=True)
        except NotFound:
            return None

    def _find_namespaces(self, cloud_id: str) -> list[Manifest]:
        return self._api.items(path("Namespace"), self._cloud_labels(cloud_id), metadata_only=True)

    def _cloud_labels(self, cloud_id: str) -> str:
        labels = {naming.INSTALLATION: self._cell.installation, naming.CLOUD: checks.require_id(cloud_id)}
        return naming.selector(labels)

    def _namespace(self, cloud_id: str) -> str:
        """Raises NotFound, also for one that is on its way out."""
        known = self._namespaces.get(cloud_id)
        if known:
            return known
        for namespace in self._find_namespaces(cloud_id):
            if not namespace["metadata"].get("deletionTimestamp"):
                return self._namespaces.setdefault(cloud_id, str(namespace["metadata"]["name"]))
        self._lose(cloud_id)
        raise NotFound(f"no cloud {cloud_id}")

    def _lose(self, cloud_id: str) -> None:
        """Its namespace is gone, or going."""
        self._namespaces.pop(cloud_id, None)
        self._applied.forget_cloud(cloud_id)

    def _labels(self, cloud_id: str, instance_id: str) -> dict[str, str]:
        return naming.instance_labels(self._cell.installation, cloud_id, checks.require_id(instance_id))

    def _present(
        self, namespace: str, labels: Mapping[str, str], *, with_claim: bool
    ) -> dict[tuple[str, str], Manifest]:
        """{(kind, name): object}, Deployments whole, of the others the metadata."""
        found: dict[tuple[str, str], Manifest] = {}
        for kind in (*_OWNED, *(("PersistentVolumeClaim",) if with_claim else ())):
            whole = kind == "Deployment"
            for one in self._api.items(path(kind, namespace), naming.selector(labels), metadata_only=not whole):
                found[kind, one["metadata"]["name"]] = one
        return found

    def _attempts(self, spec: InstanceSpec, there: Mapping[tuple[str, str], Manifest]) -> dict[str, int]:
        """A new generation tries again what failed, even if its pods would be the same."""
        attempts: dict[str, int] = {}
        pods: list[Manifest] | None = None
        for micro in spec.micros:
            known = there.get(("Deployment", naming.micro_name(spec.instance_id, micro.name)))
            if micro.kind is MicroKind.STATIC or known is None:
                continue
            attempts[micro.name] = number(known, naming.ATTEMPT)
            if number(known, naming.GENERATION) < spec.generation and spec.replicas:
                if pods is None:
                    labels = naming.selector(self._labels(spec.cloud_id, spec.instance_id))
                    pods = self._api.items(path("Pod", spec.namespace), labels)
                status = observe.micro_status(micro.name, known, observe.pods_of(known, pods), None)
                if status.phase is MicroPhase.FAILED:
                    attempts[micro.name] = spec.generation
        return attempts

    def _refuse_beside_leftovers(self, spec: InstanceSpec, labels: Mapping[str, str]) -> None:
        """Pods without a Deployment are of a deleted predecessor; two must never write to one volume."""
        if not spec.volume:
            return
        selector = naming.selector(labels)
        pods = self._api.items(path("Pod", spec.namespace), selector)
        if any(map(observe.runs, pods)) or self._claim_goes(spec.namespace, selector):
            raise Temporary(f"the instance {spec.instance_id} is still being removed", 1.0)

    def _claim_goes(self, namespace: str, labels: str) -> bool:
        """Deleted, and held until the last pod's object is gone. One that is kept is no part of the instance."""
        claims = self._api.items(path("PersistentVolumeClaim", namespace), labels, metadata_only=True)
        return any("deletionTimestamp" in claim["metadata"] for claim in claims)

    def _write(self, spec: InstanceSpec, manifest: Manifest, known: Manifest | None) -> None:
        """Only over what was looked at: an older generation must not overwrite a newer one that came between.

        Kubernetes' own controllers write to the same objects all the time; the hash tells them from one of us.
        """
        for _ in range(_WRITE_TRIES):
            try:
                self._api.apply(manifest, resource_version=_version(known) if known else None)
                return
            except (Temporary, NotFound) as error:
                if isinstance(error, NotFound) or "being terminated" in str(error):
                    self._lose(spec.cloud_id)
                    raise NotFound(f"no cloud {spec.cloud_id}") from error
                now = self._found(path(manifest["kind"], spec.namespace, manifest["metadata"]["name"]))
                if known is None or now is None or _hash(now) != _hash(known) or _version(now) == _version(known):
                    raise
                known = now
        raise Temporary(f"the objects of the instance {spec.instance_id} change too quickly", 1.0)

    def _objects(self, cloud_id: str, instance_id: str) -> Objects:
        namespace, labels = self._namespace(cloud_id), naming.selector(self._labels(cloud_id, instance_id))
        secret = self._found(path("Secret", namespace, naming.instance_name(instance_id)))
        if secret is None:
            raise NotFound(f"no instance {instance_id} in the cloud {cloud_id}")
        lists = [self._api.items(path(kind, namespace), labels) for kind in ("Deployment", "Pod", "Service")]
        return Objects(secret, lists[0], lists[1], {service["metadata"]["name"]: service for service in lists[2]})

    def _with_last_words(self, status: InstanceStatus, found: Objects) -> InstanceStatus:
        """What a container that still runs said last; ended ones have left it in their status."""
        namespace = self._namespace(status.cloud_id)
        return observe.with_tails(status, found, lambda pod: logs.last_words(self._api, namespace, *pod))

    def _job(self, cloud_id: str, job_id: str) -> Manifest:
        return self._api.get(path("Job", self._namespace(cloud_id), naming.build_name(checks.require_id(job_id))))

    def _build_pods(self, cloud_id: str, job_id: str) -> list[dict[str, Any]]:
        labels = {naming.INSTALLATION: self._cell.installation, naming.JOB: job_id}
        return self._api.items(path("Pod", self._namespace(cloud_id)), naming.selector(labels))


def _key(manifest: Manifest) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]


def _may_only_grow(spec: InstanceSpec, manifest: Manifest, there: Mapping[tuple[str, str], Manifest]) -> bool:
    """A data server's volume follows its plan upwards, where the class lets it."""
    return spec.role is Role.DATA and manifest["kind"] == "PersistentVolumeClaim" and _key(manifest) in there


def _version(manifest: Manifest) -> str:
    return str(manifest["metadata"]["resourceVersion"])


def _hash(manifest: Manifest | None) -> str:
    return annotation(manifest, naming.HASH) if manifest else ""
