"""What the parts of a running agent share: the node, free addresses and networks, bundles being unpacked, who watches."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from k8s.local import artifacts
from k8s.local.egress import Proxy, Registries, find_registries
from k8s.local.sandbox import Node, Record
from k8s.local.slots import Slots
from k8s.local.spares import Spares
from k8s.specs import Change

_BUILDS_AT_ONCE = 2
_JOBS_AT_ONCE = 8  # beyond what runs anyway: each may take as much as the app that it belongs to


class Host:
    """One per agent; used from its event loop only."""

    def __init__(self, node: Node, left: list[Record]) -> None:
        self.node = node
        taken = {record.slot for record in left}
        if node.network:
            self.app_slots = Slots(node.plan.app_slots, taken)
            self.build_slots = Slots(node.plan.build_slots, taken)
        else:
            ports = range(node.plan.last_port - node.plan.first_port + 1)
            self.app_slots = self.build_slots = Slots(ports, taken)
        self.spares = Spares(node.network, self.app_slots)
        self.build_places = asyncio.Semaphore(_BUILDS_AT_ONCE)
        self.job_places = asyncio.Semaphore(_JOBS_AT_ONCE)
        self._proxy: asyncio.Task[Registries] | None = None
        self._builds: dict[str, Callable[[str], None]] = {}
        self._unpacking: dict[str, asyncio.Task[Path]] = {}
        self._watchers: set[asyncio.Queue[Change]] = set()

    async def bundle(self, digest: str) -> Path:
        """The unpacked bundle; micros that start together share one unpacking. Raises as ensure_unpacked does."""
        task = self._unpacking.get(digest)
        if task is None:
            call = asyncio.to_thread(artifacts.ensure_unpacked, self.node.store, digest, self.node.home.bundles)
            task = self._unpacking[digest] = asyncio.create_task(call)
            task.add_done_callback(lambda _: self._unpacking.pop(digest, None))
        return await asyncio.shield(task)

    async def egress(self, address: str, note: Callable[[str], None]) -> dict[str, str]:
        """Open the way to the registries for the build at `address`; returns the variables that lead there.

        note: receives a line for every host that was refused.
        """
        self._builds[address] = note
        if self._proxy is None or (self._proxy.done() and self._proxy.exception()):
            self._proxy = asyncio.create_task(self._start_proxy())
        registries = await asyncio.shield(self._proxy)
        proxy = f"http://{self.node.gate_address}:{self.node.plan.egress_port}"
        names = ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy")
        return {**dict.fromkeys(names, proxy), **registries.environment}

    def stop_egress(self, address: str) -> None:
        self._builds.pop(address, None)

    async def _start_proxy(self) -> Registries:
        registries = await asyncio.to_thread(find_registries)
        await Proxy(registries.hosts, self._refused).serve(self.node.gate_address, self.node.plan.egress_port)
        return registries

    def _refused(self, address: str, target: str) -> None:
        if note := self._builds.get(address):
            note(f"refused: builds reach package registries only, not {target}")

    def notify(self, change: Change) -> None:
        for queue in self._watchers:
            queue.put_nowait(change)

    def watch(self) -> "asyncio.Queue[Change]":
        queue: asyncio.Queue[Change] = asyncio.Queue()
        self._watchers.add(queue)
        return queue

    def unwatch(self, queue: "asyncio.Queue[Change]") -> None:
        self._watchers.discard(queue)
