"""One watch stream per kind for all clouds: list as the apiserver has it in memory, then follow, then hints in a queue."""

import json
import queue
import threading
import time
from collections.abc import Iterator

from k8s import naming
from k8s.errors import ClusterError, NotFound, Temporary
from k8s.kube.api import Api, path
from k8s.naming import Manifest
from k8s.specs import Change

# Secrets stand for instances without any process; their content does not travel.
_KINDS = (("Deployment", False), ("Pod", False), ("Job", False), ("Secret", True))
_SERVER_S = 300  # the server ends a watch after so long: half-open connections show themselves
_SILENCE_S = 330.0
_PAUSE_S = 1.0


class Watch:
    """`changes` yields until the deadline; threads end soon after. Every stream survives its server's restarts by itself."""

    def __init__(self, api: Api, installation: str) -> None:
        self._api = api
        self._labels = f"{naming.INSTALLATION}={installation}"
        self._queue: queue.SimpleQueue[Change | ClusterError] = queue.SimpleQueue()
        self._over = threading.Event()

    def changes(self, timeout_s: float) -> Iterator[Change]:
        deadline = time.monotonic() + timeout_s
        for kind, metadata_only in _KINDS:
            threading.Thread(target=self._follow, args=(kind, metadata_only, deadline), daemon=True).start()
        try:
            while (left := deadline - time.monotonic()) > 0:
                try:
                    found = self._queue.get(timeout=left)
                except queue.Empty:
                    return
                if isinstance(found, ClusterError):
                    raise found
                yield found
        finally:
            self._over.set()

    def _follow(self, kind: str, metadata_only: bool, deadline: float) -> None:
        version: str | None = None
        try:
            while not self._over.is_set() and time.monotonic() < deadline:
                if version is None:
                    version = self._list(kind, metadata_only)
                version = self._stream(kind, metadata_only, version, deadline)
        except ClusterError as error:
            self._queue.put(error)

    def _list(self, kind: str, metadata_only: bool) -> str:
        listing = self._api.listing(path(kind), self._labels, metadata_only=metadata_only, cached=True)
        for found in listing["items"]:
            self._tell(found)
        return str(listing["metadata"]["resourceVersion"])

    def _stream(self, kind: str, metadata_only: bool, version: str, deadline: float) -> str | None:
        """Follow until the stream ends; returns the version to go on from, or None to list anew (410)."""
        left_s = min(_SERVER_S, max(1, int(deadline - time.monotonic()) + 1))
        query = {
            "watch": "true",
            "labelSelector": self._labels,
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(left_s),
        }
        try:
            for line in self._api.lines(path(kind), query, read_timeout_s=_SILENCE_S, metadata_only=metadata_only):
                if self._over.is_set():
                    return version
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return None
                version = event["object"]["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    self._tell(event["object"])
        except NotFound:  # 410 before the stream began
            return None
        except (TimeoutError, Temporary):
            if self._over.wait(_PAUSE_S):
                return version
        return version

    def _tell(self, found: Manifest) -> None:
        labels = found["metadata"].get("labels", {})
        cloud, instance, job = (labels.get(key) for key in (naming.CLOUD, naming.INSTANCE, naming.JOB))
        if cloud and (instance or job):
            self._queue.put(Change(cloud, instance, job))
