"""What is done once for a document: a build, or a command of an instance. Its status file says how it ended."""

import asyncio
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from k8s.errors import ClusterError
from k8s.local import documents, process
from k8s.local.documents import BuildDocument, CloudDocument, JobDocument
from k8s.local.host import Host
from k8s.local.journal import log
from k8s.local.sandbox import Record
from k8s.specs import Change, JobPhase, JobStatus


@dataclass(frozen=True)
class Files:
    """Where it is written what is to be done, how that went, and its output."""

    document: Path
    status: Path
    log: Path
    kind: type[BuildDocument] | type[JobDocument]


class Once:
    """Follows one document until it is gone. wake() makes it look again; `gone` is set at the end.

    What was running when the agent died is begun anew by the next one.
    """

    broke = "The node could not run it."

    def __init__(self, host: Host, cloud_id: str, job_id: str, files: Files, places: asyncio.Semaphore) -> None:
        self.cloud_id, self.owner = cloud_id, job_id
        self.gone = asyncio.Event()
        self._host, self._home, self._files, self._places = host, host.node.home, files, places
        self._stop = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    @property
    def change(self) -> Change:
        return Change(self.cloud_id, job_id=self.owner)

    def wake(self) -> None:
        """Only a deletion matters to what runs."""
        document = self._document()
        if document is None or document.deleting:
            self._stop.set()

    async def close(self) -> None:
        """Stop it, whatever the document says; the next agent starts it again."""
        self._stop.set()
        await self._task

    async def _attempt(self, spec: Any, uid: int) -> JobStatus:
        raise NotImplementedError

    async def _run(self) -> None:
        document, status = self._document(), documents.read(self._files.status, JobStatus)
        unfinished = status is None or status.phase in (JobPhase.PENDING, JobPhase.RUNNING)
        if document and document.deleting:
            self._stop.set()
        elif document and unfinished:
            async with self._places:
                await self._do(document.spec)
        await self._stop.wait()
        self._forget()

    async def _do(self, spec: Any) -> None:
        cloud = documents.read(self._home.cloud_document(self.cloud_id), CloudDocument)
        if cloud is None or self._stop.is_set():
            return
        self._publish(JobStatus(self.owner, self.cloud_id, JobPhase.RUNNING))
        try:
            status = await self._attempt(spec, cloud.uid)
        except (ClusterError, OSError) as error:
            status = self._failed(str(error))
        except Exception:  # a job must end visibly, whatever broke
            log.exception("event=job_broke cloud=%s job=%s", self.cloud_id, self.owner)
            status = self._failed(self.broke)
        if not self._stop.is_set():
            self._publish(status)
        await self._clear_up()

    async def _clear_up(self) -> None:
        """What takes a while and nobody need wait for: how it ended is told already."""

    def _failed(self, reason: str, log_tail: str = "") -> JobStatus:
        return JobStatus(self.owner, self.cloud_id, JobPhase.FAILED, reason=reason, log_tail=log_tail)

    async def _wait(self, record: Record, timeout_s: float) -> str:
        """Until it ended. "stopped" where that was asked for, "late" where it took too long; killed then; else ""."""
        assert record.outer is not None
        exited = asyncio.create_task(process.ended(record.outer))
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({exited, stopping}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if exited.done():
                return ""
            if record.init:
                record.init.signal(signal.SIGKILL)
            return "stopped" if stopping.done() else "late"
        finally:
            exited.cancel()
            stopping.cancel()

    def _forget(self) -> None:
        """The document was deleted: delete what belongs to it, and the document last."""
        document = self._document()
        if document and document.deleting:
            for file in (self._files.log, self._files.status, self._files.document):
                file.unlink(missing_ok=True)
        if document is None or document.deleting:
            self.gone.set()
            self._host.notify(self.change)

    def _document(self) -> BuildDocument | JobDocument | None:
        return documents.read(self._files.document, self._files.kind)

    def _publish(self, status: JobStatus) -> None:
        documents.write(self._files.status, status)
        self._host.notify(self.change)
