"""One instance: which processes it should have, which it has, and the way from one to the other.

A *group* is the processes made from one version of the spec. Usually one is serving. While a changed spec without a volume
comes up there are two: the new one is incoming, and takes over when all of it is ready. With a volume the old one is stopped
first, since two must never write to one disk. An incoming group that fails leaves the old one serving.
"""

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import replace

from k8s.errors import ClusterError
from k8s.local import documents, sandbox, sandbox_volume
from k8s.local.documents import CloudDocument, InstanceDocument
from k8s.local.host import Host
from k8s.local.journal import log
from k8s.local.micros import MicroRun, Plan
from k8s.local.sandbox import Record
from k8s.specs import Change, InstanceSpec, InstanceStatus, MicroKind, MicroPhase, MicroSpec, MicroStatus

_DRAIN_S = 3.0  # the old processes go on answering until the gate's maps have the new address
_RETRY_S = 2.0
_AT_ONCE_S = 0.05  # an unpacked bundle is found sooner


def shape(spec: InstanceSpec) -> InstanceSpec:
    """What processes are made from: two specs of the same shape need no new processes."""
    return replace(spec, generation=0, replicas=1, ready_timeout_s=0)


class Group:
    """The processes of one version of an instance, started as soon as the object exists."""

    def __init__(
        self, host: Host, spec: InstanceSpec, uid: int, changed: Callable[[], None], records: list[Record]
    ) -> None:
        self.spec, self.generation = spec, spec.generation
        self.error = ""
        self.runs: dict[str, MicroRun] = {}
        self._host, self._uid, self._changed = host, uid, changed
        self._records = {record.micro: record for record in records}
        self.prepared = asyncio.create_task(self._prepare())

    @property
    def started(self) -> bool:
        return self.prepared.done() and not self.error

    @property
    def ready(self) -> bool:
        return self.started and all(run.phase is MicroPhase.READY for run in self.runs.values())

    @property
    def failed(self) -> bool:
        return bool(self.error) or any(run.phase is MicroPhase.FAILED for run in self.runs.values())

    def withdraw(self) -> None:
        for run in self.runs.values():
            run.withdraw()

    async def stop(self) -> None:
        """Returns when no process of the group is left. Safe to repeat."""
        await self.prepared
        await asyncio.gather(*(run.stop() for run in self.runs.values() if run.phase is not MicroPhase.FAILED))

    async def _prepare(self) -> None:
        """Bundle and disk first; then every process micro at once."""
        try:
            bundle = await self._host.bundle(self.spec.artifact)
            volume = None
            if self.spec.volume:
                volume = self._host.node.home.volume(self.spec.cloud_id, self.spec.instance_id)
                await asyncio.to_thread(sandbox_volume.provide, volume, self.spec.volume.size_mib, self._uid)
        except (ClusterError, OSError) as error:
            self.error = f"The app could not be prepared: {error}."
            self._changed()
            return
        for micro in self.spec.micros:
            if micro.kind is MicroKind.PROCESS:
                plan = Plan(self.spec, micro, self._uid, bundle, volume)
                self.runs[micro.name] = MicroRun(self._host, plan, self._changed, self._records.get(micro.name))
        self._changed()


class Instance:
    """Follows one instance document until it is gone. wake() makes it look again; `gone` is set at the end."""

    def __init__(self, host: Host, cloud_id: str, instance_id: str, left: list[Record]) -> None:
        self.cloud_id, self.owner = cloud_id, instance_id
        self.gone = asyncio.Event()
        self._host, self._home = host, host.node.home
        self._awake = asyncio.Event()
        self._serving: Group | None = None
        self._incoming: Group | None = None
        self._draining: set[Group] = set()
        self._tasks: list[asyncio.Task[None]] = []  # the event loop itself holds tasks only weakly
        self._published: InstanceStatus | None = None
        self._closing = False
        self._left = left
        self._task = asyncio.create_task(self._run())

    @property
    def change(self) -> Change:
        return Change(self.cloud_id, self.owner)

    def wake(self) -> None:
        self._awake.set()

    async def close(self) -> None:
        """Stop every process, whatever the document says; it is looked at again by the next agent."""
        self._closing = True
        self.wake()
        await self._task

    async def _run(self) -> None:
        while not self.gone.is_set():
            self._awake.clear()
            try:
                if await self._look():
                    return
            except Exception:  # one instance's trouble must not end its supervision
                log.exception("event=reconcile_failed cloud=%s instance=%s", self.cloud_id, self.owner)
                asyncio.get_running_loop().call_later(_RETRY_S, self.wake)
            await self._awake.wait()

    async def _look(self) -> bool:
        """One comparison of wanted and present. True when there is nothing left to follow."""
        document = documents.read(self._home.instance_document(self.cloud_id, self.owner), InstanceDocument)
        cloud = documents.read(self._home.cloud_document(self.cloud_id), CloudDocument)
        if self._closing:
            await self._stop_all(document.spec if document else None)
            if document and document.spec:
                self._publish(document.spec)
            return True
        if document is None or document.deleting or document.spec is None or cloud is None:
            return await self._remove(document)
        await self._adopt(document.spec, cloud.uid)
        await self._converge(document.spec, cloud.uid)
        await self._begin()
        self._publish(document.spec)
        return False

    async def _adopt(self, wanted: InstanceSpec, uid: int) -> None:
        """Go on with what an earlier agent left: the wanted shape, and at most one older one that still serves."""
        left, self._left = self._left, []
        for spec, mine in _by_shape(left):
            group = Group(self._host, spec, uid, self.wake, mine)
            await group.prepared
            if shape(spec) == shape(wanted) and self._serving:
                self._incoming = group
            elif self._serving is None:
                self._serving = group
            elif shape(self._serving.spec) == shape(wanted):
                self._incoming, self._serving = self._serving, group
            else:
                await group.stop()

    async def _converge(self, spec: InstanceSpec, uid: int) -> None:
        if spec.replicas == 0:
            await self._lie_down(spec)
            return
        await self._forget_failures(spec)
        current = next((g for g in (self._incoming, self._serving) if g and shape(g.spec) == shape(spec)), None)
        if current is None:
            await self._replace(spec, uid)
        elif current is self._serving:
            current.generation = spec.generation
            await self._retire_incoming()
        elif current.ready:
            self._promote(spec)
        elif current.failed:
            await current.stop()
        else:
            current.generation = spec.generation

    async def _begin(self) -> None:
        """What starts at once is told at once with its address: whoever watches looks at one change, not at three."""
        newest = self._incoming or self._serving
        if newest and not newest.prepared.done():
            await asyncio.wait({newest.prepared}, timeout=_AT_ONCE_S)

    async def _lie_down(self, spec: InstanceSpec) -> None:
        """Without waiting for processes that take their time to end: who wakes it meanwhile gets new ones beside them.
        Unless there is a volume, which two must never write to."""
        groups = [g for g in (self._incoming, self._serving) if g]
        if spec.volume or any(group.spec.volume for group in groups):
            await self._stop_all(spec)
            return
        self._incoming = self._serving = None
        for group in groups:
            group.withdraw()
            self._draining.add(group)
            self._tasks.append(asyncio.create_task(self._end(group)))

    async def _forget_failures(self, spec: InstanceSpec) -> None:
        """A new generation tries again what gave up before."""
        if self._incoming and self._incoming.failed and self._incoming.generation < spec.generation:
            await self._retire_incoming()
        if self._serving and self._serving.failed and self._serving.generation < spec.generation:
            await self._serving.stop()
            self._serving = None

    async def _replace(self, spec: InstanceSpec, uid: int) -> None:
        await self._retire_incoming()
        if self._serving and (spec.volume or self._serving.spec.volume or not self._serving.ready):
            self._serving.withdraw()
            self._publish(spec)
            await self._serving.stop()
            self._serving = None
        group = Group(self._host, spec, uid, self.wake, [])
        if self._serving:
            self._incoming = group
        else:
            self._serving = group

    def _promote(self, spec: InstanceSpec) -> None:
        old, self._serving, self._incoming = self._serving, self._incoming, None
        assert self._serving is not None
        self._serving.generation = spec.generation
        if old:
            self._draining.add(old)
            self._tasks.append(asyncio.create_task(self._drain(old)))

    async def _drain(self, group: Group) -> None:
        await asyncio.sleep(_DRAIN_S)
        await self._end(group)

    async def _end(self, group: Group) -> None:
        await group.stop()
        self._draining.discard(group)
        self._tasks = [task for task in self._tasks if not task.done()]
        self.wake()  # what stands still says so only when nothing of it is left

    async def _retire_incoming(self) -> None:
        incoming, self._incoming = self._incoming, None
        if incoming:
            await incoming.stop()

    async def _stop_all(self, spec: InstanceSpec | None) -> None:
        """Stop every group. The status loses its addresses first: the grace may last for seconds."""
        groups = [g for g in (self._incoming, self._serving, *self._draining) if g]
        for group in groups:
            group.withdraw()
        if spec and groups:
            self._publish(spec)
        await asyncio.gather(*(group.stop() for group in groups))
        self._incoming = self._serving = None

    async def _remove(self, document: InstanceDocument | None) -> bool:
        """Stop all, delete what belongs to the instance, and the document last: until then it counts as existing."""
        if documents.jobs_of(self._home.jobs(self.cloud_id), self.owner):
            asyncio.get_running_loop().call_later(_RETRY_S / 4, self.wake)  # their sandboxes hold the volume
            return False
        left, self._left = self._left, []
        await asyncio.gather(*(asyncio.to_thread(sandbox.clear, self._host.node, record) for record in left))
        await self._stop_all(document.spec if document else None)
        volume = self._home.volume(self.cloud_id, self.owner)
        clear = sandbox_volume.destroy if document and document.delete_volume else sandbox_volume.release
        await asyncio.to_thread(clear, volume)
        await asyncio.to_thread(sandbox_volume.forget, self._home.copies(self.cloud_id) / self.owner)
        logs = self._home.micro_log(self.cloud_id, self.owner, "any").parent
        await asyncio.to_thread(shutil.rmtree, logs, ignore_errors=True)
        file = self._home.instance_document(self.cloud_id, self.owner)
        with documents.locked(self._home.cloud_lock(self.cloud_id)):
            if documents.read(file, InstanceDocument) != document:
                self.wake()  # more is wanted than a moment ago
                return False
            self._home.instance_status(self.cloud_id, self.owner).unlink(missing_ok=True)
            file.unlink(missing_ok=True)
        self.gone.set()
        self._host.notify(self.change)
        return True

    def _publish(self, spec: InstanceSpec) -> None:
        """Write the status if it differs from the last one, and tell whoever watches."""
        micros = tuple(self._micro_status(micro, stopped=spec.replicas == 0) for micro in spec.micros)
        status = InstanceStatus(self.owner, self.cloud_id, spec.generation, spec.restart, micros)
        if status == self._published:
            return
        documents.write(self._home.instance_status(self.cloud_id, self.owner), status, durable=False)
        self._published = status
        self._host.notify(self.change)

    def _micro_status(self, micro: MicroSpec, *, stopped: bool) -> MicroStatus:
        target = self._incoming or self._serving
        if target is None:
            is_over = stopped and not self._draining
            return MicroStatus(micro.name, MicroPhase.STOPPED if is_over else MicroPhase.PENDING)
        if target.error:
            return MicroStatus(micro.name, MicroPhase.FAILED, self._upstream(micro), target.error)
        run = target.runs.get(micro.name)
        if run is None:
            static_ready = micro.kind is MicroKind.STATIC and target.started
            return MicroStatus(
                micro.name, MicroPhase.READY if static_ready else MicroPhase.PENDING, self._upstream(micro)
            )
        phase = MicroPhase.PENDING if run.phase is MicroPhase.STOPPED else run.phase
        failed = phase is MicroPhase.FAILED
        tail = run.log_tail if failed else ""
        upstream, reason = self._upstream(micro), run.reason if failed else ""
        candidate = None if upstream else run.candidate
        return MicroStatus(micro.name, phase, upstream, reason, tail, run.restarts, candidate)

    def _upstream(self, micro: MicroSpec) -> str | None:
        run = self._serving.runs.get(micro.name) if self._serving else None
        return run.upstream if run else None


def _by_shape(records: list[Record]) -> list[tuple[InstanceSpec, list[Record]]]:
    groups: list[tuple[InstanceSpec, list[Record]]] = []
    for record in records:
        known = next((group for group in groups if record.spec and shape(group[0]) == shape(record.spec)), None)
        if known:
            known[1].append(record)
        elif record.spec:
            groups.append((record.spec, [record]))
    return groups
