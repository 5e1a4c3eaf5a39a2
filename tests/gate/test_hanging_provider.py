"""A provider that hangs: what is private stays shut, what runs goes on, and it heals by itself.

docs/operators/outages.md says the same to operators; test_wrong_provider.py has what else may come instead of its word.
"""

import signal
from collections.abc import Callable

import pytest

from tests.gate.conftest import Gate, wait_until
from tests.gate.tenancy import House, new_house, settle
from tests.gate.wire import Upstream, read_reply, spell

JSON, HTML = ("Accept", "application/json"), ("Accept", "text/html")


@pytest.fixture
def upstream(upstreams: Callable[[str], Upstream]) -> Upstream:
    return upstreams("main")


@pytest.fixture
def house(gate: Gate, upstream: Upstream) -> House:
    house = new_house()
    house.add("", upstream, ["/open/*"])
    settle(gate, house)
    return house


def _heals(gate: Gate, house: House) -> None:
    """With nobody's help but that the provider is there again."""
    wait_until(lambda: gate.http.ask(house.host, "/p", JSON).status == 401, "the provider answers again", 60)


def test_a_provider_that_hangs_keeps_out_and_lets_go_on(gate: Gate, house: House, upstream: Upstream) -> None:
    """Held for fifteen seconds at most, side by side; the signed-in are not held at all."""
    live = gate.processes["live"]
    live.send_signal(signal.SIGSTOP)
    try:
        held = [gate.http.connect() for _ in range(4)]
        for connection in held:
            connection.settimeout(60)
            connection.sendall(spell(house.host, "/p", HTML))
        assert gate.http.ask(house.host, "/p", house.cookie(), JSON).status == 200
        assert gate.http.ask(house.host, "/open/x", JSON).status == 200
        replies = [read_reply(connection) for connection in held]
        assert [(one.status, one.header("retry-after")) for one in replies] == [(502, "3")] * 4
        assert all("cannot check who you are" in one.text for one in replies)
        assert [seen.header("x-freehold-user") for seen in upstream.seen] == [house.owner.id, None]
    finally:
        live.send_signal(signal.SIGCONT)
    _heals(gate, house)
