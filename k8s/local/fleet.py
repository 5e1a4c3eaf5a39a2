"""All instances, builds and jobs of one home: who follows which document, what an earlier agent left, clouds that go."""

import asyncio
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from k8s.local import builds, documents, sandbox, sandbox_volume
from k8s.local.builds import Build
from k8s.local.documents import BuildDocument, CloudDocument, InstanceDocument, JobDocument
from k8s.local.host import Host
from k8s.local.instances import Instance
from k8s.local.jobs import Job
from k8s.local.sandbox import Record
from k8s.specs import Change, CloudUsage, Sample


class Follower(Protocol):
    """What is kept for every document: see Instance, Build and Job. owner: the instance's or job's id."""

    cloud_id: str
    owner: str
    gone: asyncio.Event

    @property
    def change(self) -> Change: ...

    def wake(self) -> None: ...

    async def close(self) -> None: ...


class Fleet:
    """Use from the event loop only, except for `clear_dead`, which comes first and blocks."""

    def __init__(self, host: Host, left: list[Record]) -> None:
        self._host, self._node, self._home = host, host.node, host.node.home
        self._left = left
        self._followers: dict[Path, Follower] = {}
        self._seen: dict[Path, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def clear_dead(self) -> None:
        """Clear sandboxes that ended, were only half made, or belong to nothing; keep the living for adoption."""
        alive = [r for r in self._left if r.kind == "app" and r.outer and r.outer.alive and r.init]
        for record in self._left:
            if record not in alive:
                sandbox.clear(self._node, record)
                slots = self._host.build_slots if record.kind == "build" else self._host.app_slots
                slots.free(record.slot)
        self._left = alive
        for cloud_id, name in self._node.cgroups.sandboxes() - {(r.cloud_id, r.name) for r in alive}:
            self._node.cgroups.clear(cloud_id, name)
        if self._node.network:
            for slot in set(self._node.network.slots()) - {r.slot for r in alive}:
                self._node.network.disconnect(slot)
        builds.remove_leftovers(self._host)

    def look(self) -> None:
        """Compare all documents with what was seen of them; wake whose has changed."""
        for kind in ("instances", "builds", "jobs"):
            for file in self._home.clouds.glob(f"*/{kind}/[!.]*.json"):
                self._look_at(file)
        for record in list(self._left):  # left over from a spec that is gone: it finds that out and stops them
            self._follow(self._home.instance_document(record.cloud_id, record.owner))
        for file in self._home.clouds.glob("*/cloud.json"):
            self._look_at_cloud(file)

    def poke(self, cloud_id: str, instance_id: str | None, job_id: str | None) -> None:
        if instance_id:
            self._look_at(self._home.instance_document(cloud_id, instance_id))
        if job_id:
            self._look_at(self._home.build_document(cloud_id, job_id))
            self._look_at(self._home.job_document(cloud_id, job_id))
        self._look_at_cloud(self._home.cloud_document(cloud_id))

    def everything(self) -> Iterable[Change]:
        return [follower.change for follower in self._followers.values()]

    async def close(self) -> None:
        """Stop every sandbox; specs stay."""
        await asyncio.gather(*(follower.close() for follower in self._followers.values()))

    def usage(self, cloud_id: str) -> CloudUsage:
        """Blocks for as long as looking at the cloud's volumes takes."""
        seconds, memory = self._node.cgroups.usage(cloud_id)
        folders = {path.with_suffix("") for path in self._home.volumes(cloud_id).glob("*")}
        return CloudUsage(seconds, memory, sum(sandbox_volume.used_bytes(folder) for folder in folders))

    def samples(self) -> list[Sample]:
        """Blocks for as long as reading two small files of each sandbox takes. Empty where there are no groups."""
        if not self._node.cgroups.hierarchies:
            return []
        found = []
        for record in sandbox.records(self._node):
            if record.outer is not None and record.outer.alive:
                seconds, memory = self._node.cgroups.usage(record.cloud_id, record.name)
                source = f"{record.name}@{record.outer.started}"
                found.append(Sample(record.owner, source, round(seconds * 1e6), memory))
        return found

    def wanted_digests(self) -> set[str]:
        found = (documents.read(f, InstanceDocument) for f in self._home.clouds.glob("*/instances/[!.]*.json"))
        jobs = (documents.read(f, JobDocument) for f in self._home.clouds.glob("*/jobs/[!.]*.json"))
        wanted = {document.spec.artifact for document in found if document and document.spec}
        return wanted | {document.spec.instance.artifact for document in jobs if document}

    def _look_at(self, file: Path) -> None:
        try:
            stamp = file.stat().st_mtime_ns
        except FileNotFoundError:
            return
        if file not in self._followers:
            self._follow(file)
        elif self._seen.get(file) != stamp:
            self._followers[file].wake()
        self._seen[file] = stamp

    def _follow(self, file: Path) -> None:
        cloud_id, owner = file.parent.parent.name, file.stem
        follower: Follower
        if file.parent.name == "builds":
            follower = Build(self._host, cloud_id, owner)
        elif file.parent.name == "jobs":
            follower = Job(self._host, cloud_id, owner)
        else:
            mine = [r for r in self._left if (r.cloud_id, r.owner) == (cloud_id, owner)]
            self._left = [r for r in self._left if r not in mine]
            follower = Instance(self._host, cloud_id, owner, mine)
        self._followers[file] = follower
        task = asyncio.create_task(self._forget_when_gone(file, follower))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _forget_when_gone(self, file: Path, follower: Follower) -> None:
        await follower.gone.wait()
        self._followers.pop(file, None)
        self._seen.pop(file, None)
        self._look_at(file)  # it may have been written again meanwhile
        self._look_at_cloud(self._home.cloud_document(follower.cloud_id))

    def _look_at_cloud(self, file: Path) -> None:
        cloud = documents.read(file, CloudDocument)
        if cloud and cloud.deleting:
            self._remove_cloud(cloud.spec.cloud_id)

    def _remove_cloud(self, cloud_id: str) -> None:
        """Ask all that is in it to go; when the last is gone the cloud's own folders follow."""
        mine = {file: follower for file, follower in self._followers.items() if follower.cloud_id == cloud_id}
        for file, follower in mine.items():
            _mark_deleted(file)
            follower.wake()
        if mine:
            return
        for folder in {path.with_suffix("") for path in self._home.volumes(cloud_id).glob("*")}:
            sandbox_volume.destroy(folder)
        sandbox_volume.destroy(self._home.cache(cloud_id))
        home = self._home
        mine_alone = (home.logs, home.status, home.volumes, home.copies, home.pieces)
        for folder in (of_cloud(cloud_id) for of_cloud in mine_alone):
            shutil.rmtree(folder, ignore_errors=True)
        self._node.cgroups.remove_cloud(cloud_id)
        shutil.rmtree(self._home.cloud(cloud_id), ignore_errors=True)
        self._host.notify(Change(cloud_id))


def _mark_deleted(file: Path) -> None:
    kind = {"builds": BuildDocument, "jobs": JobDocument}.get(file.parent.name)
    if kind is not None:
        once = documents.read(file, kind)
        if once and not once.deleting:
            documents.write(file, replace(once, deleting=True))
        return
    instance = documents.read(file, InstanceDocument)
    if instance and not (instance.deleting and instance.delete_volume):
        documents.write(file, replace(instance, deleting=True, delete_volume=True))
