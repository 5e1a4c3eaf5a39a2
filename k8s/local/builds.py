"""One build job: source unpacked onto a disk of its own, the builder run in a sandbox, its output packed into the store.

The source is a stranger's code, and so is everything in /out afterwards, manifest included. A build that was running when
the agent died is started again from the beginning: its way to the registries died with the agent.
"""

import asyncio
import json
import os
import secrets
import shutil
import threading
from pathlib import Path, PurePosixPath

from k8s.errors import Permanent
from k8s.local import artifacts, documents, sandbox, sandbox_volume
from k8s.local.capture import Capture
from k8s.local.deflating import Pieces
from k8s.local.documents import BuildDocument
from k8s.local.host import Host
from k8s.local.journal import log
from k8s.local.logfiles import LogWriter
from k8s.local.micros import base_environment
from k8s.local.once import Files, Once
from k8s.local.sandbox import Interior, Record
from k8s.local.sandbox_bwrap import Mount
from k8s.specs import BuildSpec, BuiltMicro, JobPhase, JobStatus

_CACHE_MIB = 4096
_WORK_MIB = 3072  # room beside the output for sources, compilers' leavings and temporary files
_MANIFEST_BYTES = 1024 * 1024
_LOG_BYTES = 32 * 1024 * 1024
_CACHES = threading.Lock()


class Build(Once):
    broke = "The node could not run the build."

    def __init__(self, host: Host, cloud_id: str, job_id: str) -> None:
        home = host.node.home
        files = Files(
            home.build_document(cloud_id, job_id),
            home.build_status(cloud_id, job_id),
            home.build_log(cloud_id, job_id),
            BuildDocument,
        )
        super().__init__(host, cloud_id, job_id, files, host.build_places)

    async def _attempt(self, spec: BuildSpec, uid: int) -> JobStatus:
        """Disk, sandbox, packing; the sandbox is gone at the end whatever happened."""
        record = self._record(uid)
        work = self._home.work(self.cloud_id, self.owner)
        self._home.build_log(self.cloud_id, self.owner).unlink(missing_ok=True)
        sandbox.prepare(self._host.node, record)
        writer = LogWriter(self._home.build_log(self.cloud_id, self.owner), _LOG_BYTES)
        capture = Capture(self._host.node.home.sandbox(record.name), writer)
        try:
            capture.note("unpacking the source")
            await asyncio.to_thread(self._lay_out, spec, uid, work)
            registries = await self._host.egress(sandbox.upstream(self._host.node, record)[0], capture.note)
            interior = _interior(self._host, spec, uid, work, registries)
            record = await asyncio.to_thread(sandbox.start, self._host.node, record, interior)
            self._host.node.cgroups.limit_cpu(self.cloud_id, record.name, spec.limits.cpu_millis)
            reason = await self._outcome(spec, record, capture)
            if reason:
                return self._failed(reason)
            # Nothing of the build may run any more when its output is read.
            await asyncio.to_thread(sandbox.clear, self._host.node, record)
            capture.note("packing the result")
            return await asyncio.to_thread(self._pack, spec, work)
        finally:
            self._host.stop_egress(sandbox.upstream(self._host.node, record)[0])
            await asyncio.to_thread(sandbox.clear, self._host.node, record)
            self._host.build_slots.free(record.slot)
            capture.close()

    async def _clear_up(self) -> None:
        try:
            await asyncio.to_thread(sandbox_volume.destroy, self._home.work(self.cloud_id, self.owner))
        except OSError:  # the next agent removes what is left
            log.exception("event=disk_left cloud=%s job=%s", self.cloud_id, self.owner)

    def _lay_out(self, spec: BuildSpec, uid: int, work: Path) -> None:
        sandbox_volume.destroy(work)
        sandbox_volume.provide(work, _WORK_MIB + 2 * spec.output_limit_mib, uid)
        provide_cache(self._home.cache(self.cloud_id), uid)
        for name in ("src", "out", "tmp"):
            (work / name).mkdir()
        artifacts.unpack_source(artifacts.path_of(self._host.node.store, spec.source), work / "src")
        plan = {"micros": spec.micros, "as_of": spec.as_of}
        (work / "plan.json").write_text(documents.text(plan))
        if self._host.node.network:
            for folder, folders, files in os.walk(work):
                for name in (".", *folders, *files):
                    os.chown(Path(folder, name), uid, uid, follow_symlinks=False)

    async def _outcome(self, spec: BuildSpec, record: Record, capture: Capture) -> str:
        """Wait for the builder's end; the reason of its failure, or nothing when it succeeded."""
        end = await self._wait(record, spec.timeout_s)
        if end:
            return "The build was stopped." if end == "stopped" else f"The build took longer than {spec.timeout_s} s."
        capture.drain()
        return self._reason(spec, record, capture)

    def _reason(self, spec: BuildSpec, record: Record, capture: Capture) -> str:
        code = sandbox.exit_code(self._host.node, record)
        if code == 0:
            return ""
        if self._host.node.cgroups.ran_out_of_memory(self.cloud_id, record.name):
            return f"The build ran out of memory (its limit is {spec.limits.memory_mib} MiB)."
        sentences = [line for line in capture.recent if line.startswith("Build failed: ")]
        if sentences:
            return sentences[-1].removeprefix("Build failed: ")
        return f"The builder exited with code {code}." if code is not None else "The builder was killed from outside."

    def _pack(self, spec: BuildSpec, work: Path) -> JobStatus:
        micros = read_manifest(work / "out" / "manifest.json", spec)
        store = self._host.node.store
        store.mkdir(parents=True, exist_ok=True)
        draft = store / f".draft-{self.owner}-{secrets.token_hex(4)}"
        try:
            pieces = Pieces(self._home.pieces(self.cloud_id))
            artifacts.pack(work / "out", draft, spec.output_limit_mib * 1024**2, pieces)
            size = draft.stat().st_size
            digest = artifacts.put(store, draft)
        finally:
            draft.unlink(missing_ok=True)
        return JobStatus(self.owner, self.cloud_id, JobPhase.SUCCEEDED, digest, size, micros)

    def _record(self, uid: int) -> Record:
        name = f"{self.owner}-{secrets.token_hex(4)}"
        return Record(name, "build", self.cloud_id, self.owner, "build", uid, self._host.build_slots.take())


def provide_cache(folder: Path, uid: int, size_mib: int = _CACHE_MIB) -> None:
    """The disk that a cloud's builds share, made anew when damaged or three quarters full. Raises Permanent."""
    with _CACHES:  # of two builds that find it worn together, the second must not throw away what the first made
        try:
            sandbox_volume.provide(folder, size_mib, uid)
            worn = sandbox_volume.used_bytes(folder) > size_mib * 1024**2 * 3 // 4
        except Permanent:
            worn = True  # a damaged cache must not end every build of this cloud
        if worn:
            sandbox_volume.destroy(folder)
            sandbox_volume.provide(folder, size_mib, uid)


def read_manifest(file: Path, spec: BuildSpec) -> tuple[BuiltMicro, ...]:
    """The builder's description of what it made. Raises Permanent where it does not fit the plan or leaves the artifact."""
    try:
        with open(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as source:
            data = json.loads(source.read(_MANIFEST_BYTES))
        micros: tuple[BuiltMicro, ...] = documents.decode(tuple[BuiltMicro, ...], data["micros"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Permanent("the build left no readable manifest.json") from error
    if sorted(m.name for m in micros) != sorted(m.name for m in spec.micros):
        raise Permanent("the build's manifest names other micros than were to be built")
    for micro in micros:
        for path in (micro.root, micro.serve or ".", *micro.python_path):
            if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
                raise Permanent(f"the build's manifest leads outside of the artifact: “{path[:200]}”")
    return micros


def _interior(host: Host, spec: BuildSpec, uid: int, work: Path, registries: dict[str, str]) -> Interior:
    node = host.node
    mounts = [Mount(work / name, f"/{name}", writable=True) for name in ("src", "out", "tmp")]
    mounts += [Mount(node.home.cache(spec.cloud_id), "/cache", writable=True), Mount(work / "plan.json", "/plan.json")]
    mounts.append(Mount(node.builder, "/opt/freehold/builder"))
    if node.uv:
        mounts.append(Mount(node.uv, "/opt/freehold/bin/uv"))
    environment = base_environment()
    del environment["NODE_ENV"]  # npm would leave out what builds need
    return Interior(
        program=("/usr/bin/python3", "/opt/freehold/builder/build.py"),
        env={**environment, **registries},
        mounts=tuple(mounts),
        limits=spec.limits,
        uid=uid,
        resolves_names=False,
        hostname="build",
    )


def remove_leftovers(host: Host) -> None:
    """Disks of builds that an earlier agent was working on."""
    for folder in {path.with_suffix("") for path in (host.node.home.root / "work").glob("*/*")}:
        sandbox_volume.destroy(folder)
    shutil.rmtree(host.node.home.root / "work", ignore_errors=True)
