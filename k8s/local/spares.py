"""Networks of sandboxes that are to come: made while nobody waits, for it takes longer than the rest of a start."""

import asyncio
import contextlib

from k8s.errors import Permanent
from k8s.local.journal import log
from k8s.local.sandbox_network import Network
from k8s.local.slots import Slots

SPARES = 3
# Whoever was just given one starts its app now, and needs the processor more.
_REFILL_AFTER_S = 2.0


class Spares:
    """A few connected slots. From the event loop only; `fill` is called once nothing is cleared up any more.

    What an agent that died had made is cleared by the next one, like every network without a record.
    """

    def __init__(self, network: Network | None, slots: Slots) -> None:
        self._network, self._slots = network, slots
        self._made: list[int] = []
        self._filling: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        if network is None:
            self._closing.set()

    def take(self) -> int | None:
        """A slot whose network is there; it is the caller's now. None where there is none at the moment."""
        if self._closing.is_set() or not self._made:
            return None
        slot = self._made.pop(0)
        self.fill(_REFILL_AFTER_S)
        return slot

    def fill(self, after_s: float = 0.0) -> None:
        """Make what is missing, in the background."""
        if not self._closing.is_set() and (self._filling is None or self._filling.done()):
            self._filling = asyncio.create_task(self._fill(after_s))

    async def close(self) -> None:
        """No more are made or given out. What was made stays for whoever clears the machine."""
        self._closing.set()
        if self._filling:
            await self._filling

    async def _fill(self, after_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), after_s)
        while len(self._made) < SPARES and not self._closing.is_set():
            try:
                await self._make()
            except Permanent as error:  # whoever needs one makes it, and says so where that fails, too
                log.warning("event=no_spare_network detail=%s", error)
                return

    async def _make(self) -> None:
        assert self._network is not None
        slot = self._slots.take()
        try:
            await asyncio.to_thread(self._network.connect, slot)
        except Permanent:
            await asyncio.to_thread(self._network.disconnect, slot)
            self._slots.free(slot)
            raise
        self._made.append(slot)
