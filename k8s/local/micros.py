"""One process micro of an instance: started, watched until it listens, started again when it crashes, stopped on request."""

import asyncio
import contextlib
import secrets
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from k8s.errors import ClusterError
from k8s.local import probing, process, sandbox
from k8s.local.capture import Capture
from k8s.local.host import Host
from k8s.local.journal import log
from k8s.local.logfiles import LogWriter
from k8s.local.sandbox import Interior, Node, Record
from k8s.local.sandbox_bwrap import TRUSTED, Mount
from k8s.naming import FORMER_DATA_HOSTS
from k8s.runtimes.launcher import launch
from k8s.specs import PROBING, InstanceSpec, MicroPhase, MicroSpec

GRACE_S = 10.0  # between asking and killing
_PAUSES_S = (0.2, 0.5, 1.0, 2.0)  # before the next try; after the last of them it gave up
_STEADY_S = 30.0  # whoever was ready for so long has not crashed "in a row"
_FIRST_PROBE_S, _SLOWEST_PROBE_S = 0.01, 0.25


@dataclass(frozen=True)
class Plan:
    """What one micro's process is made from. bundle: the unpacked artifact. volume: the mounted disk, if it has one."""

    spec: InstanceSpec
    micro: MicroSpec
    uid: int
    bundle: Path
    volume: Path | None


@dataclass(frozen=True)
class Ending:
    """Why a process is no more. hopeless: starting it again would only repeat it."""

    reason: str
    lived_s: float = 0.0
    hopeless: bool = False


class MicroRun:
    """Keeps one process running. Reads of `phase`, `reason`, `log_tail`, `restarts`, `upstream` and `candidate` (where the
    process that comes up will listen) are always current.

    changed: called after each of them moved. record: a sandbox that an earlier agent left running, to go on with.
    """

    def __init__(self, host: Host, plan: Plan, changed: Callable[[], None], record: Record | None = None) -> None:
        self._host, self._plan, self._changed, self._adopted = host, plan, changed, record
        self._stop = asyncio.Event()
        self._withdrawn = False
        ready = record is not None and record.ready
        self.phase = MicroPhase.READY if ready else MicroPhase.STARTING
        self.reason = self.log_tail = ""
        self.restarts = record.restarts if record else 0
        self.upstream = self._address(record) if record and ready else None
        self.candidate: str | None = None
        self._task = asyncio.create_task(self._run())

    def withdraw(self) -> None:
        """From now on nobody is to be sent here: it is about to be stopped."""
        self.upstream, self.candidate, self._withdrawn = None, None, True
        if self.phase in (MicroPhase.READY, MicroPhase.STARTING):
            self.phase = MicroPhase.PENDING

    async def stop(self) -> None:
        """Ask the process to end, kill it after the grace, clear its sandbox. Returns when nothing of it is left."""
        self._stop.set()
        await self._task

    async def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                ending = await self._once()
            except Exception as error:  # whatever breaks here must end as a visible failure, not as a lost task
                log.exception("event=start_failed instance=%s", self._plan.spec.instance_id)
                ending = Ending(f"could not be started: {error}")
            if ending is None or self._stop.is_set():
                break
            failures = 1 if ending.lived_s > _STEADY_S else failures + 1
            if ending.hopeless or failures > len(_PAUSES_S):
                self._fail(ending, failures)
                return
            self.restarts += 1
            self._move(MicroPhase.STARTING)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), _PAUSES_S[failures - 1])
        self._move(MicroPhase.STOPPED)

    async def _once(self) -> Ending | None:
        """One process from start to end; None when it was ended on request."""
        record, self._adopted = self._adopted, None
        adopted = record is not None
        spare: int | None = None
        if record is None:
            # The network of one that reaches the gate alone has other rules.
            spare = None if self._plan.micro.offline else self._host.spares.take()
            record = self._new_record(spare)
            sandbox.prepare(self._host.node, record)
            if spare is not None:
                self._expect(record)  # refuses connections from now on, until the app accepts them
        writer = LogWriter(self._log_file())
        capture = Capture(self._host.node.home.sandbox(record.name), writer)
        try:
            if not adopted:
                interior = self._interior(record)
                record = await asyncio.to_thread(
                    sandbox.start, self._host.node, record, interior, connected=spare is not None
                )
            return await self._live(record, capture)
        except ClusterError as error:
            capture.note(str(error))
            return Ending(str(error), hopeless=True)
        finally:
            self.upstream = self.candidate = None
            await asyncio.to_thread(sandbox.clear, self._host.node, record)
            capture.close()
            self.log_tail = "\n".join(capture.recent)
            self._host.app_slots.free(record.slot)

    async def _live(self, record: Record, capture: Capture) -> Ending | None:
        assert record.outer is not None
        exited = asyncio.create_task(process.ended(record.outer))
        stopping = asyncio.create_task(self._stop.wait())
        unwell: asyncio.Task[None] | None = None
        since = time.monotonic()
        try:
            if not record.ready:
                self._expect(record)
                if not await self._listens(record, exited, stopping):
                    return await self._not_ready(record, capture, exited)
                record = replace(record, ready=True)
                await self._become_ready(record)
            unwell = asyncio.create_task(self._until_unwell(record, capture))
            await asyncio.wait({exited, stopping, unwell}, return_when=asyncio.FIRST_COMPLETED)
            if exited.done():
                return self._ending(record, capture, time.monotonic() - since)
            await self._terminate(record, exited)
            return self._unwell(capture, time.monotonic() - since) if unwell.done() else None
        finally:
            for task in (exited, stopping, unwell):
                if task:
                    task.cancel()

    async def _listens(self, record: Record, exited: "asyncio.Task[None]", stopping: "asyncio.Task[bool]") -> bool:
        """Probe until the app accepts a connection; False when it ended, is to stop, or its time is over."""
        deadline = time.monotonic() + self._plan.spec.ready_timeout_s
        pause = _FIRST_PROBE_S
        while time.monotonic() < deadline:
            if await self._is_well(record):
                return True
            await asyncio.wait({exited, stopping}, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            if exited.done() or stopping.done():
                return False
            pause = min(pause * 1.15, _SLOWEST_PROBE_S)
        return False

    def _expect(self, record: Record) -> None:
        """Once there is a network: what is sent to an address that nothing has yet waits in vain for a second."""
        if not self._stop.is_set() and self.candidate is None:
            self.candidate = self._address(record)
            self._changed()

    async def _not_ready(self, record: Record, capture: Capture, exited: "asyncio.Task[None]") -> Ending | None:
        if exited.done():
            return self._ending(record, capture, 0.0)
        if not self._stop.is_set():
            timeout = self._plan.spec.ready_timeout_s
            port, health = sandbox.port(self._host.node, record), self._plan.micro.health
            missing = (
                f"start listening on port {port}" if health is None else f"answer {health} on port {port} with 200"
            )
            reason = f"did not {missing} within {timeout} s"
            capture.note(reason)
            await self._terminate(record, exited)
            return Ending(reason, hopeless=True)
        await self._terminate(record, exited)
        return None

    async def _become_ready(self, record: Record) -> None:
        self.upstream, self.candidate = self._address(record), None
        self._move(MicroPhase.READY)
        node = self._host.node
        node.cgroups.limit_cpu(record.cloud_id, record.name, self._plan.micro.limits.cpu_millis)
        await asyncio.to_thread(sandbox.save, node, record)

    async def _is_well(self, record: Record) -> bool:
        address, micro = sandbox.upstream(self._host.node, record), self._plan.micro
        if micro.health is None:
            return await probing.accepts(*address)
        return await probing.answers(*address, micro.health, self._plan.spec.host)

    async def _until_unwell(self, record: Record, capture: Capture) -> None:
        """Ends when its health was missed so often that it is to be started again; never for one without."""
        if self._plan.micro.health is None:
            await asyncio.Event().wait()
        misses = 0
        while misses < PROBING.restart_after:
            await asyncio.sleep(PROBING.every_s)
            well = await self._is_well(record)
            misses = 0 if well else misses + 1
            if self._withdrawn:
                continue
            if well and self.upstream is None:
                capture.note(f"answers {self._plan.micro.health} again")
                self.upstream = self._address(record)
                self._move(MicroPhase.READY)
            elif misses == PROBING.unready_after:
                capture.note(f"does not answer {self._plan.micro.health}; nobody is sent there until it does")
                self.upstream = None
                self._move(MicroPhase.STARTING)

    def _unwell(self, capture: Capture, lived_s: float) -> Ending:
        times = PROBING.restart_after
        reason = f"did not answer {self._plan.micro.health} with 200 to 399, {times} times in a row, and was ended"
        capture.note(reason)
        return Ending(reason, lived_s)

    async def _terminate(self, record: Record, exited: "asyncio.Task[None]") -> None:
        if record.init:
            process.ask_to_stop(record.init)
        done, _ = await asyncio.wait({exited}, timeout=GRACE_S)
        if not done and record.init:
            record.init.signal(signal.SIGKILL)
            await asyncio.wait({exited}, timeout=GRACE_S)

    def _ending(self, record: Record, capture: Capture, lived_s: float) -> Ending:
        node, limits = self._host.node, self._plan.micro.limits
        code = sandbox.exit_code(node, record)
        if node.cgroups.ran_out_of_memory(record.cloud_id, record.name):
            reason = f"ran out of memory (its limit is {limits.memory_mib} MiB)"
        elif code is None:
            reason = "was killed from outside"
        elif code > 128 and code - 128 in signal.valid_signals():
            reason = f"was ended by signal {signal.Signals(code - 128).name}"
        else:
            reason = f"exited with code {code}"
        if not record.ready:
            reason += f" before it listened on port {sandbox.port(node, record)}"
        capture.note(reason)
        return Ending(reason, lived_s)

    def _fail(self, ending: Ending, failures: int) -> None:
        times = f", {failures} times in a row" if failures > 1 else ""
        self.reason = f"The micro “{self._plan.micro.name}” {ending.reason}{times}."
        self._move(MicroPhase.FAILED)

    def _move(self, phase: MicroPhase) -> None:
        self.phase = phase
        self._changed()

    def _address(self, record: Record) -> str:
        address, port = sandbox.upstream(self._host.node, record)
        return f"{address}:{port}"

    def _log_file(self) -> Path:
        spec = self._plan.spec
        return self._host.node.home.micro_log(spec.cloud_id, spec.instance_id, self._plan.micro.name)

    def _new_record(self, slot: int | None) -> Record:
        spec, micro = self._plan.spec, self._plan.micro.name
        return Record(
            name=f"{spec.instance_id}-{secrets.token_hex(4)}",
            kind="app",
            cloud_id=spec.cloud_id,
            owner=spec.instance_id,
            micro=micro,
            uid=self._plan.uid,
            slot=self._host.app_slots.take() if slot is None else slot,
            spec=spec,
            restarts=self.restarts,
        )

    def _interior(self, record: Record) -> Interior:
        return interior(self._host.node, self._plan, sandbox.port(self._host.node, record))


def interior(node: Node, plan: Plan, port: int) -> Interior:
    """The inside of a sandbox for the micro's command, or another command of the same micro."""
    mounts = [Mount(plan.bundle, "/bundle")]
    if plan.volume and plan.spec.volume:
        mounts.append(Mount(plan.volume, plan.spec.volume.path, writable=True))
    brings_servers = node.runtime is not None and plan.micro.engine.startswith("python")
    if node.runtime and brings_servers:
        mounts.append(Mount(node.runtime, "/opt/freehold/python"))
    options = {"--bundle": ["/bundle"], "--root": [plan.micro.root], "--port": [str(port)]}
    options["--python-path"] = list(plan.micro.python_path)
    if brings_servers:
        options["--runtime"] = ["/opt/freehold/python"]
    return Interior(
        # What the launcher would do inside, for which it would first have to start.
        program=("/usr/bin/setsid", "/bin/sh", "-c", launch.PATIENT + (plan.micro.command or "")),
        folder=launch.under("/bundle", plan.micro.root),
        env=launch.prepare({**base_environment(), **plan.micro.env}, options),
        mounts=tuple(mounts),
        limits=plan.micro.limits,
        uid=plan.uid,
        resolves_names=not plan.micro.offline,
        offline=plan.micro.offline,
        hosts=dict.fromkeys(
            (plan.spec.host, node.console_host, *plan.spec.gate_hosts, *FORMER_DATA_HOSTS), node.gate_address
        ),
    )


def base_environment() -> dict[str, str]:
    """What every sandbox has; an app's own values win. The certificates' variables name one file for all languages."""
    trusted = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "CURL_CA_BUNDLE")
    return {
        "HOME": "/tmp",  # noqa: S108
        "TMPDIR": "/tmp",  # noqa: S108
        "PATH": "/usr/bin:/bin:/usr/local/bin:/opt/freehold/bin",
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "NODE_ENV": "production",
        **dict.fromkeys(trusted, TRUSTED),
    }
