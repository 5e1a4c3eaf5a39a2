"""Starts the processes of the table in order, restarts what ends, stops all of it."""

import asyncio
import json
import signal
import time
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from provider.up import child as processes
from provider.up.child import Child, Identity, Nursery
from provider.up.complaint import Complaint
from provider.up.home import Home
from provider.up.logs import Log, say
from provider.up.probes import ask
from provider.up.process import Process
from provider.up.secretfile import write_private

POLL_S = 0.05
FIRST_DELAY_S = 0.2
LONGEST_DELAY_S = 10.0
STEADY_S = 60.0  # a process that ran this long has recovered: its next end counts as the first
FAILING_AFTER = 3
PROBE_TIMEOUT_S = 0.7  # /healthz as a whole answers within a second


class State(StrEnum):
    WAITING = "waiting"  # for another process
    STARTING = "starting"
    OK = "ok"
    FAILING = "failing"
    DONE = "done"  # a process that runs once has ended well
    STOPPED = "stopped"


@dataclass
class Member:
    """A process of the table as it is now."""

    process: Process
    log: Log
    state: State = State.WAITING
    detail: str = ""
    restarts: int = 0
    child: Child | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)


class Supervisor:
    """One per `manage.py up`. `run` returns when everything has stopped."""

    def __init__(self, home: Home, table: tuple[Process, ...]) -> None:
        self.home = home
        self.nursery = Nursery()
        self.members = {p.name: Member(p, Log(home.path / "log", p.name, n)) for n, p in enumerate(table)}
        self.stopping = asyncio.Event()
        self.hurried = asyncio.Event()
        self.failure: str | None = None

    def ask_to_stop(self) -> None:
        """The first call stops everything in order, the second at once."""
        if self.stopping.is_set():
            say("Stopping at once.")
            self.hurried.set()
        else:
            say("Stopping (once more: at once).")
            self.stopping.set()

    async def run(self) -> None:
        """Until `ask_to_stop`, or until an essential process cannot be started (then raises Complaint)."""
        keepers = [asyncio.create_task(self._keep(member)) for member in self.members.values()]
        try:
            await self.stopping.wait()
        finally:
            for keeper in keepers:
                keeper.cancel()
            await asyncio.gather(*keepers, return_exceptions=True)
            await self._stop_all()
        if self.failure:
            raise Complaint(self.failure)

    # --- one process --------------------------------------------------------------------------------------------------
    async def _keep(self, member: Member) -> None:
        for name in member.process.after:
            member.detail = f"waits for {name}"
            await self.members[name].ready.wait()
        quick_ends = 0
        while not self.stopping.is_set():
            started = time.monotonic()
            ending = await self._live_once(member)
            if member.state is State.DONE:
                return
            lived = time.monotonic() - started
            quick_ends = 0 if lived > STEADY_S else quick_ends + 1
            self._after_end(member, ending, quick_ends)
            await asyncio.sleep(pause_s(quick_ends, lived))
            member.restarts += 1

    async def _live_once(self, member: Member) -> str:
        """Start, wait until ready, then until the end. Returns how it ended."""
        if member.state is not State.FAILING:
            member.state = State.STARTING
        member.detail = "starting"
        try:
            member.child = child = await self.nursery.start(member.process.argv, member.process.env, member.log.line)
        except OSError as error:
            return f"cannot be started: {error}"
        self._record()
        late = "" if member.process.once else await self._wait_until_ready(member, child)
        if late:
            await processes.end([child.identity], signal.SIGKILL, 1)
        await child.exited.wait()
        await self._clear_session(member, child.identity)
        if member.process.once and child.code == 0:
            member.state, member.detail, member.child = State.DONE, "", None
            member.ready.set()
        return late or _ending(child.code)

    async def _wait_until_ready(self, member: Member, child: Child) -> str:
        """ "" when it answers its probe or has ended, else why the deadline passed."""
        deadline = time.monotonic() + member.process.ready_timeout_s
        while not child.exited.is_set():
            verdict = await ask(member.process.probe, child.started_at, PROBE_TIMEOUT_S)
            if not verdict:
                member.state, member.detail = State.OK, ""
                member.ready.set()
                return ""
            if time.monotonic() > deadline:
                return f"was not ready within {member.process.ready_timeout_s:g} s ({verdict})"
            member.detail = verdict
            await asyncio.sleep(POLL_S)
        return ""

    def _after_end(self, member: Member, ending: str, quick_ends: int) -> None:
        name = member.process.name
        member.child = None
        first_start = not member.ready.is_set()
        member.state = State.FAILING if first_start or quick_ends >= FAILING_AFTER else State.STARTING
        member.detail = ending
        say(f"{name} {ending}; it is started again. Its log: {member.log.path}")
        if first_start and quick_ends == 1:
            say("\n".join(f"    {line}" for line in member.log.tail))
        if first_start and member.process.essential and quick_ends >= FAILING_AFTER:
            self.failure = f"{name} {ending}: nothing works without it. Its log is {member.log.path}."
            self.stopping.set()

    async def _clear_session(self, member: Member, leader: Identity) -> None:
        """What a dead process left (a server's own workers) would hold its port against the next one."""
        if not member.process.keeps_children:
            await processes.end(processes.session_members(leader.pid), signal.SIGKILL, 1)

    def _record(self) -> None:
        """What runs, for a next start after we were killed."""
        running = [
            [m.child.identity.pid, m.child.identity.start, m.process.keeps_children]
            for m in self.members.values()
            if m.child
        ]
        write_private(self.home.run / "processes.json", json.dumps(running).encode(), lasting=False)

    # --- stopping -----------------------------------------------------------------------------------------------------
    async def _stop_all(self) -> None:
        for names in reversed(levels([m.process for m in self.members.values()])):
            await asyncio.gather(*(self._stop(self.members[name]) for name in names))
        while left := processes.own_children():
            await processes.end(left, signal.SIGTERM, 0 if self.hurried.is_set() else 3)
        (self.home.run / "processes.json").unlink(missing_ok=True)

    async def _stop(self, member: Member) -> None:
        child, process = member.child, member.process
        if child and not child.exited.is_set():
            if process.before_stop and not self.hurried.is_set():
                await self._before_stop(member)
            ending = asyncio.create_task(processes.end([child.identity], process.stop_signal, process.stop_timeout_s))
            hurry = asyncio.create_task(self.hurried.wait())
            await asyncio.wait((ending, hurry), return_when=asyncio.FIRST_COMPLETED)
            hurry.cancel()
            if not ending.done():
                processes.send(child.identity, signal.SIGKILL)
            await ending
            await self._clear_session(member, child.identity)
        member.state = State.STOPPED

    async def _before_stop(self, member: Member) -> None:
        assert member.process.before_stop
        try:
            async with asyncio.timeout(member.process.stop_timeout_s):
                await member.process.before_stop()
        except (OSError, ValueError, TimeoutError) as error:
            say(f"{member.process.name} did not take the request to stop ({error!r}); it is ended.")

    # --- asking -------------------------------------------------------------------------------------------------------
    async def components(self) -> dict[str, dict[str, str]]:
        """Every process really asked now. Those that run once appear until they have ended well: ready means seeded."""
        shown = [m for m in self.members.values() if not m.process.once or m.state is not State.DONE]
        verdicts = await asyncio.gather(*(self._ask(member) for member in shown))
        return {m.process.name: {"state": v[0], "detail": v[1]} for m, v in zip(shown, verdicts, strict=True)}

    async def _ask(self, member: Member) -> tuple[State, str]:
        if member.state is not State.OK or not member.child:
            return member.state, member.detail
        verdict = await ask(member.process.probe, member.child.started_at, PROBE_TIMEOUT_S)
        return (State.FAILING, verdict) if verdict else (State.OK, "")


def pause_s(quick_ends: int, lived_s: float) -> float:
    """Before the next start. What spares the machine is rare starts, so the time that the process lived counts too."""
    return max(FIRST_DELAY_S, min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** max(0, quick_ends - 1)) - lived_s)


def _ending(code: int | None) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code and code < 0 else f"ended with code {code}"


def levels(table: list[Process]) -> list[list[str]]:
    """Names by how many others must be there before them: each level needs only those below it."""
    depth: dict[str, int] = {}
    for process in table:  # the table lists a process after those that it needs
        depth[process.name] = 1 + max((depth[name] for name in process.after), default=-1)
    return [[name for name in depth if depth[name] == level] for level in range(max(depth.values(), default=-1) + 1)]


async def end_leftovers(home: Home) -> None:
    """End what a killed run left. Instances live on: the node agent finds them again."""
    path: Path = home.run / "processes.json"
    if not path.exists():
        return
    left: list[Identity] = []
    for pid, start, keeps_children in json.loads(path.read_text()):
        leader = Identity(pid, start)
        there = processes.identify(pid) == leader
        if keeps_children:
            left += [leader] if there else []
        else:
            left += [m for m in processes.session_members(pid) if there or _is_of(home, m)]
    if left:
        say(f"Ending {len(left)} processes that an earlier run left behind.")
        await processes.end(left, signal.SIGTERM, 5)
    path.unlink()


def _is_of(home: Home, member: Identity) -> bool:
    """Without its leader a session's number may be a stranger's by now. Ours carry the home in their environment, but
    for Redis, which writes its title over it and has no children."""
    try:
        return f"FREEHOLD_HOME={home.path}\0".encode() in Path(f"/proc/{member.pid}/environ").read_bytes()
    except OSError:
        return False
