"""Logs of containers: `TIME o|e|s TEXT`, as the kubelet keeps what the launcher writes, and `TIME TEXT` of images."""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from k8s.errors import ClusterError, NotFound, Temporary
from k8s.kube.api import Api, path
from k8s.specs import LogLine

_STREAMS = {b"o ": "out", b"e ": "err", b"s ": "sys"}
_LOOK_S = 1.0
_READ_S = 20.0  # so long a thread may outlive its reader


@dataclass(frozen=True)
class Source:
    """Whose lines a pod's are. framed: the launcher says of each where it comes from; others could only pretend to."""

    micro: str
    framed: bool = True


Pods = Mapping[str, Source]  # by name


def parse(line: bytes, source: Source) -> LogLine:
    at, _, text = line.partition(b" ")
    stream = _STREAMS.get(text[:2]) if source.framed else None
    if stream:
        text = text[2:]
    # The kubelet's nanoseconds say more than anybody asks for.
    stamp = at.decode(errors="replace")[:23].rstrip("Z").ljust(23, "0") + "Z"
    return LogLine(stamp, source.micro, stream or "out", text.decode(errors="replace"))


def tail(api: Api, namespace: str, pods: Pods, count: int | None) -> list[LogLine]:
    """The last `count` lines of all pods together, oldest first. A container that has not started has none."""
    found: list[LogLine] = []
    for pod, source in pods.items():
        found += _read(api, namespace, pod, source, {"tailLines": str(count)} if count is not None else {})
    found.sort(key=lambda line: line.at)
    return found if count is None else found[-count:] if count else []


def last_words(api: Api, namespace: str, pod: str, source: Source, count: int = 20) -> str:
    return "\n".join(line.text for line in _read(api, namespace, pod, source, {"tailLines": str(count)}))


def _read(api: Api, namespace: str, pod: str, source: Source, query: Mapping[str, str]) -> list[LogLine]:
    address = f"{path('Pod', namespace, pod)}/log"
    try:
        lines = list(api.lines(address, {"timestamps": "true", **query}, read_timeout_s=30))
    except (ClusterError, TimeoutError) as error:
        if isinstance(error, Temporary):
            raise
        return []  # not started, or gone a moment ago
    return [parse(line, source) for line in lines if line]


class Follower:
    """Lines of all pods that `pods` names, also of those that come later, until `over` says so or the reader stops.

    A thread per pod waits for lines; they end with their connections.
    """

    def __init__(self, api: Api, namespace: str, pods: Callable[[], Pods], over: Callable[[], bool]) -> None:
        self._api, self._namespace, self._pods, self._over = api, namespace, pods, over
        self._lines: queue.SimpleQueue[LogLine] = queue.SimpleQueue()
        self._reading: dict[str, threading.Thread] = {}
        self._closed = threading.Event()

    def lines(self, count: int | None, stop: Callable[[], bool] | None) -> Iterator[LogLine]:
        last_round, next_look = False, 0.0
        try:
            while not (stop and stop()):
                if time.monotonic() >= next_look:
                    self._start_readers(count)
                    count, next_look = None, time.monotonic() + _LOOK_S
                try:
                    yield self._lines.get(timeout=_LOOK_S / 4)
                    continue
                except queue.Empty:
                    if last_round:
                        return
                over = self._over()
                if over:
                    self._start_readers(count)  # a pod that came and went since the last look
                last_round = over and not any(reader.is_alive() for reader in self._reading.values())
        finally:
            self._closed.set()

    def _start_readers(self, count: int | None) -> None:
        """count: of the lines that a pod has already; later pods are read from their beginning."""
        try:
            pods = self._pods()
        except NotFound:
            return
        for pod, source in pods.items():
            if pod not in self._reading:
                reader = threading.Thread(target=self._follow, args=(pod, source, count), daemon=True)
                self._reading[pod] = reader
                reader.start()

    def _follow(self, pod: str, source: Source, count: int | None) -> None:
        """Again from where a connection ended; what was seen already is known by its time, in nanoseconds."""
        query = {"timestamps": "true", "follow": "true", **({} if count is None else {"tailLines": str(count)})}
        address, last = f"{path('Pod', self._namespace, pod)}/log", b""
        while not self._closed.is_set():
            complete = self._ended(pod)  # asked first: what is read afterwards is all there is
            try:
                for line in self._api.lines(address, query, read_timeout_s=_READ_S):
                    at = line.partition(b" ")[0]
                    if at > last:
                        last = at
                        self._lines.put(parse(line, source))
                    if self._closed.is_set():
                        return
            except NotFound:
                return
            except (Temporary, TimeoutError):
                complete = False  # it is silent, or the connection broke off
            except ClusterError:
                pass  # it has not started
            if last:
                query = {"timestamps": "true", "follow": "true", "sinceTime": f"{last[:19].decode()}Z"}
            if complete or self._closed.wait(0.25):
                return

    def _ended(self, pod: str) -> bool:
        with contextlib.suppress(Temporary):
            try:
                phase = self._api.get(path("Pod", self._namespace, pod))["status"]["phase"]
            except NotFound:
                return True
            return phase in ("Succeeded", "Failed")
        return False
