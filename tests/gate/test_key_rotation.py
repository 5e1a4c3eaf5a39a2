"""Another key signs the sessions of apps, and nobody is signed out; and several gates stand side by side."""

import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from pytest_django.fixtures import Settings

from provider.gate.appsession import parse_keys, sign
from provider.up import authority
from tests.free_ports import free_port
from tests.gate.conftest import CONSOLE, Gate, keys, wait_until
from tests.gate.tenancy import House, new_house, new_user, settle
from tests.gate.wire import Door, Upstream

JSON = ("Accept", "application/json")
WITHIN_S = 5.0


@pytest.fixture
def house(gate: Gate, upstreams: Callable[[str], Upstream]) -> House:
    house = new_house()
    house.add("", upstreams("main"), [], takes_keys=True)
    settle(gate, house)
    return house


@pytest.fixture
def steps(settings: Settings) -> list[str]:
    """The values of FREEHOLD_SESSION_KEYS that the command tells to set, in order."""
    out = StringIO()
    call_command("rotate_session_keys", stdout=out)
    return re.findall(r"FREEHOLD_SESSION_KEYS=(\S+)", out.getvalue())


def _signed(house: House, value: str) -> tuple[str, str]:
    return ("Cookie", f"freehold_app={sign(house.session, parse_keys(value.split(',')))}")


def test_the_command_tells_three_values_that_keep_the_old_key_until_it_is_over(steps: list[str]) -> None:
    told = [list(parse_keys(value.split(","))) for value in steps]
    (old,) = keys()
    (new,) = told[2]
    assert (told[0], told[1]) == ([old, new], [new, old])


def test_nobody_is_signed_out_by_another_key(gate: Gate, house: House, steps: list[str]) -> None:
    old, new = house.cookie(), _signed(house, steps[1])
    usual = dict(gate.env)
    try:
        for value in steps[:2]:
            for name in ("live", "agent"):
                gate.stop(name)
                gate.env["FREEHOLD_SESSION_KEYS"] = value
                gate.start(name)
                # In between one of the two knows the new key and the other does not; the old one counts with both.
                gate.make_whole()
                assert gate.http.ask(house.host, "/p", old, JSON).status == 200
            wait_until(lambda: len(gate.proxy.entries("keys")) == 2, "both keys are known")
            assert gate.http.ask(house.host, "/p", new, JSON).status == 200
        _restart(gate, steps[2])
        wait_until(lambda: len(gate.proxy.entries("keys")) == 1, "the old key is gone")
        assert gate.http.ask(house.host, "/p", old, JSON).status == 401
        assert gate.http.ask(house.host, "/p", new, JSON).status == 200
    finally:
        gate.env.clear()
        gate.env.update(usual)
        _restart(gate, usual["FREEHOLD_SESSION_KEYS"])


def _restart(gate: Gate, value: str) -> None:
    gate.env["FREEHOLD_SESSION_KEYS"] = value
    for name in ("live", "agent"):
        gate.stop(name)
        gate.start(name)
    gate.make_whole()


@pytest.fixture
def second(gate: Gate) -> Iterator[Gate]:
    """Another gate over the same database: nothing of the first is its own but the secrets in the environment."""
    with tempfile.TemporaryDirectory(prefix="fhgate") as folder:
        home, run = Path(folder) / "home", Path(folder) / "run"
        home.mkdir(), run.mkdir()
        authority.ensure(home, (CONSOLE, "*.apps.localhost"))
        ports = {"FREEHOLD_PORT": free_port(), "FREEHOLD_TLS_PORT": free_port()}
        env = gate.env | {name: str(port) for name, port in ports.items()}
        env |= {"FREEHOLD_HOME": str(home), "FREEHOLD_RUN": str(run)}
        doors = (Door(ports["FREEHOLD_PORT"]), Door(ports["FREEHOLD_TLS_PORT"], tls=True))
        other = replace(gate, home=home, run=run, env=env, http=doors[0], https=doors[1], processes={})
        for name in ("proxy", "agent"):
            other.start(name)
        try:
            wait_until(lambda: other.is_ready() and other.beats(), "the second gate is ready")
            yield other
        finally:
            for name in list(other.processes):
                other.stop(name)


def test_several_gates_side_by_side_say_the_same_and_forget_together(gate: Gate, second: Gate, house: House) -> None:
    guest, key = new_user(), ("X-Space-App-Key", house.key("k"))
    house.share(guest)
    settle(second, house)
    cookie = house.guest_cookie(guest)
    for each in (gate, second):
        for headers in (house.cookie(), key, cookie):
            assert each.http.ask(house.host, "/p", headers, JSON).status == 200
        assert each.http.ask(house.host, "/p", JSON).status == 401
    house.instance.shares.update(state="ended")
    house.revoke(key[1])
    for each in (gate, second):
        for headers in (key, cookie):
            wait_until(lambda e=each, h=headers: e.http.ask(house.host, "/p", h, JSON).status == 401, "out", WITHIN_S)
        assert each.http.ask(house.host, "/p", house.cookie(), JSON).status == 200


def test_a_gate_that_ends_takes_nothing_from_the_other(gate: Gate, second: Gate, house: House) -> None:
    settle(second, house)
    second.stop("agent"), second.stop("proxy")
    assert gate.http.ask(house.host, "/p", house.cookie(), JSON).status == 200
    second.start("proxy"), second.start("agent")
    wait_until(lambda: second.is_ready() and second.beats(), "the second gate is ready again")
    assert second.http.ask(house.host, "/p", house.cookie(), JSON).status == 200
