"""One watch stream per kind for all clouds: list as the apiserver has it in memory, then follow, then hints in a queue."""

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from k8s import naming
from k8s.errors import ClusterError, NotFound, Temporary
from k8s.kube import ownership
from k8s.kube.api import Api, path
from k8s.kube.observe import annotation
from k8s.kube.whereabouts import Whereabouts
from k8s.naming import Manifest
from k8s.specs import Change

# What we apply, by whom it is. Metadata is enough: it says whose an object is and who changed it.
_OF_INSTANCES = ("Deployment", "Secret", "Service", "PersistentVolumeClaim")
_OF_CLOUDS = ("Namespace", "ResourceQuota", "LimitRange", "NetworkPolicy", "ServiceAccount")
_MADE_BY_OTHERS = ("Pod", "Job", "Event")  # Jobs and Events are ours, but nobody needs them back
_WHOSE = (naming.CLOUD, naming.INSTANCE, naming.JOB, naming.JOB_OF)
_KINDS = (*_OF_INSTANCES, *_MADE_BY_OTHERS, *_OF_CLOUDS)
_SERVER_S = 300  # the server ends a watch after so long: half-open connections show themselves
_SILENCE_S = 330.0
_PAUSE_S = 1.0
_LINGER_S = 30.0  # so long streams go on between two calls of `changes`
Key = tuple[str, str, str]


class Watch:
    """`changes` yields until its deadline. Every stream survives its server's restarts by itself.

    The first list of each kind counts as altered: nobody knows what happened before. forget: called with (cloud_id,
    instance_id or None) for what is not known to be as it was applied any more, before its change is told.
    """

    def __init__(
        self, api: Api, installation: str, forget: Callable[[str, str | None], None], whereabouts: Whereabouts
    ) -> None:
        self._api, self._forget, self._whereabouts = api, forget, whereabouts
        self._selector = f"{naming.INSTALLATION}={installation}"
        self._pending = _Pending()
        self._over = threading.Event()
        self._until = 0.0
        self._started = False
        self._seen: dict[Key, _Seen] = {}

    @property
    def goes_on(self) -> bool:
        return self._started and not self._over.is_set() and time.monotonic() < self._until

    def changes(self, timeout_s: float, *, lasting: bool) -> Iterator[Change]:
        """lasting: streams go on for a while after the end, and another call yields what came meanwhile."""
        deadline = time.monotonic() + timeout_s
        self._until = deadline + (_LINGER_S if lasting else 0.0)
        if not self._started:
            self._started = True
            for kind in _KINDS:
                threading.Thread(target=self._follow, args=(kind, lasting), daemon=True).start()
        try:
            while (left := deadline - time.monotonic()) > 0:
                found = self._pending.take(left)
                if found:
                    yield found
        except ClusterError:
            self._over.set()
            raise
        finally:
            if not lasting:
                self._over.set()

    def _follow(self, kind: str, lasting: bool) -> None:
        version: str | None = None
        first = True
        try:
            while self.goes_on:
                if version is None:
                    version = self._list(kind, first)
                    first = False
                left_s = _SERVER_S if lasting else int(self._until - time.monotonic()) + 1
                version = self._stream(kind, version, max(1, min(_SERVER_S, left_s)))
        except ClusterError as error:
            self._pending.fail(error)
        except Exception as error:  # a defect must not leave a stream silently dead
            self._pending.fail(Temporary(f"watching {kind} failed: {error!r}", _PAUSE_S))

    def _list(self, kind: str, first: bool) -> str:
        listing = self._api.listing(path(kind), self._selector, metadata_only=True, cached=True)
        there = {_key(kind, found) for found in listing["items"]}
        for key in [key for key in tuple(self._seen) if key[0] == kind and key not in there]:
            self._tell(kind, self._seen.pop(key).labels, altered=True)  # gone while nobody looked
        for found in listing["items"]:
            self._look(kind, found, altered=first and kind not in _MADE_BY_OTHERS)
        return str(listing["metadata"]["resourceVersion"])

    def _stream(self, kind: str, version: str, timeout_s: int) -> str | None:
        """Follow until the stream ends; returns the version to go on from, or None to list anew (410)."""
        query = {
            "watch": "true",
            "labelSelector": self._selector,
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(timeout_s),
        }
        try:
            for line in self._api.lines(path(kind), query, read_timeout_s=_SILENCE_S, metadata_only=True):
                if not self.goes_on:
                    return version
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return None
                version = str(event["object"]["metadata"]["resourceVersion"])
                if event["type"] != "BOOKMARK":
                    self._take(kind, event)
        except NotFound:  # 410 before the stream began
            return None
        except (TimeoutError, Temporary):
            self._over.wait(_PAUSE_S)
        return version

    def _take(self, kind: str, event: dict[str, Any]) -> None:
        if event["type"] != "DELETED":
            return self._look(kind, event["object"])
        if kind == "Event":
            return self._whereabouts.forget(event["object"]["metadata"]["name"])
        before = self._seen.pop(_key(kind, event["object"]), None)
        labels = {**(before.labels if before else {}), **_labels(event["object"])}
        return self._tell(kind, labels, altered=kind not in _MADE_BY_OTHERS)

    def _look(self, kind: str, found: Manifest, *, altered: bool = False) -> None:
        """Altered by somebody else: what we set is not all ours any more though we have not applied it anew."""
        if kind == "Event":
            self._whereabouts.note(found["metadata"]["name"], annotation(found, naming.ADDRESS))
        if kind in _MADE_BY_OTHERS:
            return self._tell(kind, _labels(found), altered=False)
        before = self._seen.get(_key(kind, found))
        # A label that somebody took away is known from before.
        labels = {**(before.labels if before else {}), **_labels(found)}
        now = _Seen(annotation(found, naming.HASH), ownership.signature(found), labels)
        self._seen[_key(kind, found)] = now
        changed = before is not None and before.hash == now.hash and before.signature != now.signature
        going = kind == "Namespace" and "deletionTimestamp" in found["metadata"]
        return self._tell(kind, labels, altered=altered or changed or going or not now.hash)

    def _tell(self, kind: str, labels: Mapping[str, str], *, altered: bool) -> None:
        cloud, instance, job = (labels.get(key) for key in (naming.CLOUD, naming.INSTANCE, naming.JOB))
        if naming.JOB_OF in labels:  # its instance waits for it; nobody needs it back as it was
            self._pending.put(Change(str(cloud), labels[naming.JOB_OF]))
            return
        if not cloud or (kind in _OF_CLOUDS and not altered):
            return
        if altered:
            self._forget(cloud, instance)
        if instance or job or kind in _OF_CLOUDS:
            self._pending.put(Change(cloud, instance, job, altered=altered and not job))


@dataclass(frozen=True)
class _Seen:
    """An object of ours as it was last seen. signature: see `ownership`."""

    hash: str
    signature: str
    labels: Mapping[str, str]


class _Pending:
    """Changes nobody has taken yet, each once however often it happened, the oldest first."""

    def __init__(self) -> None:
        self._changes: OrderedDict[Change, bool] = OrderedDict()  # → altered, by which changes do not differ
        self._error: ClusterError | None = None
        self._filled = threading.Condition()

    def put(self, change: Change) -> None:
        with self._filled:
            self._changes[change] = self._changes.get(change, False) or change.altered
            self._filled.notify()

    def fail(self, error: ClusterError) -> None:
        with self._filled:
            self._error = error
            self._filled.notify()

    def take(self, timeout_s: float) -> Change | None:
        """Raises what a stream died of."""
        with self._filled:
            self._filled.wait_for(lambda: self._changes or self._error, timeout_s)
            if self._error:
                raise self._error
            if not self._changes:
                return None
            change, altered = self._changes.popitem(last=False)
            return Change(change.cloud_id, change.instance_id, change.job_id, altered=altered)


def _key(kind: str, found: Manifest) -> Key:
    return kind, found["metadata"].get("namespace", ""), found["metadata"]["name"]


def _labels(found: Manifest) -> dict[str, str]:
    """Ours alone: what else is there is of no concern, and would be kept in memory."""
    labels = found["metadata"].get("labels", {})
    return {key: labels[key] for key in _WHOSE if key in labels}
