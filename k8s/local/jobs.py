"""A command of an instance, run once in a sandbox like that of its micro: same code, environment, volume and limits."""

import asyncio
import secrets
from dataclasses import replace

from k8s.local import documents, micros, sandbox, sandbox_volume
from k8s.local.capture import Capture
from k8s.local.documents import JobDocument
from k8s.local.host import Host
from k8s.local.logfiles import LogWriter
from k8s.local.micros import Plan
from k8s.local.once import Files, Once
from k8s.local.sandbox import Record
from k8s.specs import Change, JobPhase, JobSpec, JobStatus, JobTask


class Job(Once):
    """Its sandbox has an address of the apps', so the same is open and closed to it; nobody is ever sent there."""

    broke = "The node could not run the command."

    def __init__(self, host: Host, cloud_id: str, job_id: str) -> None:
        home = host.node.home
        files = Files(
            home.job_document(cloud_id, job_id),
            home.job_status(cloud_id, job_id),
            home.job_log(cloud_id, job_id),
            JobDocument,
        )
        document = documents.read(files.document, JobDocument)
        self._instance_id = document.spec.instance.instance_id if document else None
        super().__init__(host, cloud_id, job_id, files, host.job_places)

    @property
    def change(self) -> Change:
        return Change(self.cloud_id, self._instance_id)

    async def _attempt(self, spec: JobSpec, uid: int) -> JobStatus:
        if spec.task is JobTask.COMMAND:
            return await self._run_command(spec, uid)
        await asyncio.to_thread(self._see_to_copy, spec)
        return JobStatus(self.owner, self.cloud_id, JobPhase.SUCCEEDED)

    def _see_to_copy(self, spec: JobSpec) -> None:
        """Raises Permanent and OSError."""
        volume = self._home.volume(self.cloud_id, spec.instance.instance_id)
        copies = self._home.copies(self.cloud_id) / spec.instance.instance_id
        match spec.task:
            case JobTask.KEEP:
                sandbox_volume.keep(volume, copies, spec.copy_id)
            case JobTask.GIVE_BACK:
                sandbox_volume.give_back(volume, copies, spec.copy_id)
            case _:
                sandbox_volume.forget(copies)

    async def _run_command(self, spec: JobSpec, uid: int) -> JobStatus:
        """The sandbox is gone at the end whatever happened."""
        plan = await self._plan(spec, uid)
        record = self._record(spec, uid)
        sandbox.prepare(self._host.node, record)
        self._files.log.unlink(missing_ok=True)
        writer = LogWriter(self._files.log)
        capture = Capture(self._home.sandbox(record.name), writer)
        try:
            interior = micros.interior(self._host.node, plan, sandbox.port(self._host.node, record))
            record = await asyncio.to_thread(sandbox.start, self._host.node, record, interior)
            self._host.node.cgroups.limit_cpu(self.cloud_id, record.name, plan.micro.limits.cpu_millis)
            reason = await self._outcome(spec, record, plan)
            capture.drain()
            if reason:
                return self._failed(reason, "\n".join(capture.recent))
            return JobStatus(self.owner, self.cloud_id, JobPhase.SUCCEEDED)
        finally:
            await asyncio.to_thread(sandbox.clear, self._host.node, record)
            self._host.app_slots.free(record.slot)
            capture.close()

    async def _plan(self, spec: JobSpec, uid: int) -> Plan:
        instance = spec.instance
        micro = replace(next(one for one in instance.micros if one.name == spec.micro), command=spec.command)
        volume = None
        if instance.volume:
            volume = self._home.volume(instance.cloud_id, instance.instance_id)
            await asyncio.to_thread(sandbox_volume.provide, volume, instance.volume.size_mib, uid)
        return Plan(instance, micro, uid, await self._host.bundle(instance.artifact), volume)

    async def _outcome(self, spec: JobSpec, record: Record, plan: Plan) -> str:
        """Why it failed, "" when it did not."""
        end = await self._wait(record, spec.timeout_s)
        if end:
            return "was stopped" if end == "stopped" else f"took longer than {spec.timeout_s} s"
        code = sandbox.exit_code(self._host.node, record)
        if code == 0:
            return ""
        if self._host.node.cgroups.ran_out_of_memory(self.cloud_id, record.name):
            return f"ran out of memory (its limit is {plan.micro.limits.memory_mib} MiB)"
        return f"exited with code {code}" if code is not None else "was killed from outside"

    def _record(self, spec: JobSpec, uid: int) -> Record:
        name = f"{self.owner}-{secrets.token_hex(4)}"
        owner = spec.instance.instance_id  # whose use it counts as
        return Record(name, "job", self.cloud_id, owner, spec.micro, uid, self._host.app_slots.take())
