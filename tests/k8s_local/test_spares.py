"""Networks that are made before anybody needs them."""

import asyncio
import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from k8s.errors import Permanent
from k8s.local import spares
from k8s.local.layout import NetworkPlan, network_plan
from k8s.local.sandbox_network import Network
from k8s.local.slots import Slots
from k8s.local.spares import SPARES, Spares
from tests.contract.apps import Tenant, until
from tests.k8s_local.conftest import needs_root


@dataclass(frozen=True)
class Noted(Network):
    """Makes nothing, and remembers for which slots it was asked to."""

    there: set[int] = field(default_factory=set)
    refuses: bool = False

    def connect(self, slot: int, *, offline: bool = False) -> None:
        self.there.add(slot)
        if self.refuses:
            raise Permanent("no network today")

    def disconnect(self, slot: int) -> None:
        self.there.discard(slot)


@pytest.fixture
def network(tmp_path: Path) -> Noted:
    return Noted(network_plan(tmp_path), (8000, 8443))


async def _filled(spare: Spares) -> None:
    spare.fill()
    assert spare._filling is not None
    await spare._filling


def test_each_is_given_out_once_and_made_again(network: Noted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spares, "_REFILL_AFTER_S", 0.0)

    async def run() -> tuple[list[int | None], int | None]:
        spare = Spares(network, Slots(range(2, 100), []))
        assert spare.take() is None
        await _filled(spare)
        taken = [spare.take() for _ in range(SPARES + 1)]
        await _filled(spare)
        return taken, spare.take()

    (*taken, none), later = asyncio.run(run())
    assert none is None
    assert len({*taken, later}) == SPARES + 1
    assert {*taken, later} <= network.there


def test_one_that_is_refused_leaves_no_address_taken(network: Noted) -> None:
    refusing = dataclasses.replace(network, refuses=True)

    async def run() -> int:
        slots = Slots(range(2, 3), [])
        spare = Spares(refusing, slots)
        await _filled(spare)
        assert spare.take() is None
        return slots.take()

    assert asyncio.run(run()) == 2
    assert not refusing.there


def test_none_is_made_or_given_out_once_it_is_closed(network: Noted) -> None:
    async def run() -> int | None:
        spare = Spares(network, Slots(range(2, 100), []))
        await _filled(spare)
        spare.fill(60.0)
        await asyncio.wait_for(spare.close(), 30)
        return spare.take()

    assert asyncio.run(run()) is None
    assert len(network.there) == SPARES


@needs_root
def test_an_app_that_starts_gets_one_and_the_bridge_keeps_its_hardware_address(
    tenant: Tenant, plan: NetworkPlan
) -> None:
    link = Network(plan, ())
    until(lambda: len(link.slots()) >= SPARES)
    before = set(link.slots())
    address = tenant.run(tenant.instance()).partition(":")[0]
    assert address in {plan.address(slot) for slot in before}
    # 3: it was set. Else cables that come and go change it, and whoever has just learnt it answers to nobody.
    assert (Path("/sys/class/net") / plan.bridge / "addr_assign_type").read_text().strip() == "3"
