"""Scheduled actions through the gate: the inner listener is open to the worker alone, and leads where the app is."""

import json
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from itertools import count

import pytest
from pytest_django.fixtures import Settings

from tenants.models import InstanceMicro, RunResult
from tenants.reconcile import delivery as deliveries
from tenants.reconcile.actions import Delivery, Outcome
from tenants.reconcile.delivery import Undelivered
from tenants.states import InstanceState
from tests.gate.conftest import Gate
from tests.gate.tenancy import House, new_house, settle
from tests.gate.wire import Reply, Upstream, read_reply, spell

PATH = "/__space/v0/actions"


@pytest.fixture(autouse=True)
def own_gate(gate: Gate, settings: Settings) -> None:
    settings.ACTIONS_ADDR = f"unix:{gate.run / 'gate-actions.sock'}"


@pytest.fixture
def house(gate: Gate, upstreams: Callable[[str], Upstream]) -> House:
    house = new_house()
    house.add("", upstreams("main"), ["/*"])
    house.add("api", upstreams("api"), ["/*"])
    settle(gate, house)
    return house


_numbers = count()


def run_of(house: House, mount: str = "", path: str = "") -> Delivery:
    instance = house.instance
    return Delivery(
        f"run{next(_numbers)}", "local", instance.pk, instance.host, mount, path, "tidy up", is_asleep=False
    )


def deliver(delivery: Delivery) -> Outcome:
    outcome = deliveries.deliver(delivery, lambda gate: True)
    assert outcome is not None
    return outcome


def inner(gate: Gate, raw: bytes) -> Reply:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(gate.run / "gate-actions.sock"))
        connection.sendall(raw)
        return read_reply(connection)


@pytest.mark.parametrize("mount", ["", "api"])
def test_the_worker_reaches_the_micro_at_its_root(
    gate: Gate, house: House, upstreams: Callable[[str], Upstream], mount: str
) -> None:
    app = upstreams("the one")
    InstanceMicro.objects.filter(instance=house.instance, mount=mount).update(upstream=app.address)
    settle(gate, house)
    outcome = deliver(run_of(house, mount))
    [seen] = app.seen
    assert (outcome.result, outcome.http_status) == (RunResult.SUCCEEDED, 200)
    assert (seen.method, seen.path, seen.header("host")) == ("POST", PATH, house.host)
    assert json.loads(seen.body) == {"event": {"id": "tidy up", "trigger": "schedule"}}
    assert seen.header("content-type") == "application/json"
    own = {name for name in seen.names if name.startswith("x-")}
    assert own == {"x-freehold-run"}, "neither the token nor the way is the app's business"


@pytest.mark.parametrize("mount", ["", "/api"])
@pytest.mark.parametrize("who", ["nobody", "owner", "with the token's header"])
def test_from_outside_no_action_reaches_an_app(gate: Gate, house: House, mount: str, who: str) -> None:
    headers = [house.cookie(), ("Origin", f"http://{house.host}")] if who == "owner" else []
    if who == "with the token's header":
        headers = [("X-Freehold-Actions", "0" * 64), ("X-Freehold-Run", "run1")]
    for door in (gate.http, gate.https):
        reply = door.ask(house.host, mount + PATH, *headers, method="POST", body=b"{}")
        assert reply.status in (401, 403, 404)


@pytest.mark.parametrize(
    "headers",
    [(), (("X-Freehold-Actions", ""),), (("X-Freehold-Actions", "0" * 64),), (("X-Freehold-Actions", "x"),) * 2],
)
def test_who_has_no_token_gets_nothing_at_the_inner_listener(
    gate: Gate, house: House, headers: tuple[tuple[str, str], ...]
) -> None:
    reply = inner(gate, spell(house.host, PATH, *headers, method="POST", body=b"{}"))
    assert (reply.status, reply.header("x-freehold-gate")) == (404, "refused")


def test_the_inner_listener_is_a_socket_that_only_the_provider_may_open(gate: Gate) -> None:
    assert (gate.run / "gate-actions.sock").stat().st_mode & 0o077 == 0


def test_a_run_is_held_while_the_app_comes_up(gate: Gate, upstreams: Callable[[str], Upstream]) -> None:
    app, house = upstreams("late"), new_house(state=InstanceState.WAKING)
    house.add("", app, [])
    InstanceMicro.objects.filter(instance=house.instance).update(upstream="")
    settle(gate, house)
    outcomes = []
    waiting = threading.Thread(target=lambda: outcomes.append(deliver(run_of(house))))
    waiting.start()
    InstanceMicro.objects.filter(instance=house.instance).update(upstream=app.address)
    house.change(state=InstanceState.RUNNING)
    waiting.join(60)
    assert [outcome.result for outcome in outcomes] == [RunResult.SUCCEEDED]
    assert len(app.seen) == 1


def test_what_has_not_left_whole_reaches_nobody(gate: Gate, house: House, upstreams: Callable[[str], Upstream]) -> None:
    """A worker that dies before it has written down that the run leaves: the gate had all of it but a byte."""
    app = upstreams("the one")
    InstanceMicro.objects.filter(instance=house.instance, mount="").update(upstream=app.address)
    settle(gate, house)
    assert deliveries.deliver(run_of(house), lambda gate: False) is None

    def die(_: str) -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        deliveries.deliver(run_of(house), die)
    deliver(run_of(house))
    assert len(app.seen) == 1


def test_no_run_passes_the_gate_twice_however_many_bring_it(
    gate: Gate, house: House, upstreams: Callable[[str], Upstream]
) -> None:
    app, run, outcomes = upstreams("the one"), run_of(house), []
    InstanceMicro.objects.filter(instance=house.instance, mount="").update(upstream=app.address)
    settle(gate, house)
    start = threading.Barrier(6)

    def bring() -> None:
        start.wait()
        outcomes.append(deliver(run))

    threads = [threading.Thread(target=bring) for _ in range(6)]
    [thread.start() for thread in threads]
    [thread.join(60) for thread in threads]
    assert sorted(one.result for one in outcomes) == ["lost"] * 5 + ["succeeded"]
    assert len(app.seen) == 1


def test_who_takes_over_meets_the_gate_that_had_it_or_leaves_it(
    gate: Gate, house: House, upstreams: Callable[[str], Upstream]
) -> None:
    app, run, names = upstreams("the one"), run_of(house), []
    InstanceMicro.objects.filter(instance=house.instance, mount="").update(upstream=app.address)
    settle(gate, house)
    assert deliveries.deliver(run, lambda name: bool(names.append(name))) is None  # it dies as it is to leave
    assert deliver(replace(run, sent_via="another")).result == RunResult.LOST
    assert app.seen == []
    assert deliver(replace(run, sent_via=names[0])).result == RunResult.SUCCEEDED
    assert len(app.seen) == 1


def test_an_unknown_host_is_said_to_have_got_nothing(gate: Gate) -> None:
    house = new_house()
    house.instance.host = "localhost-nobody-00.apps.localhost"
    with pytest.raises(Undelivered, match="unknown"):
        deliver(run_of(house))


def test_an_app_that_takes_no_connection_is_not_taken_for_one_that_answers(gate: Gate, house: House) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
    InstanceMicro.objects.filter(instance=house.instance, mount="").update(upstream=address)
    settle(gate, house)
    outcome = deliver(run_of(house))
    assert (outcome.result, outcome.http_status) == (RunResult.FAILED, None)
    assert outcome.error == "The app did not accept the connection."


def test_an_app_that_hangs_up_is_asked_once(gate: Gate, house: House) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        address = f"127.0.0.1:{server.getsockname()[1]}"
        InstanceMicro.objects.filter(instance=house.instance, mount="").update(upstream=address)
        settle(gate, house)
        outcomes = []
        asking = threading.Thread(target=lambda: outcomes.append(deliver(run_of(house))))
        asking.start()
        connection, _ = server.accept()
        connection.recv(65536)
        connection.close()
        asking.join(60)
        server.settimeout(0.5)
        with pytest.raises(TimeoutError):
            server.accept()
    assert [(one.result, one.error) for one in outcomes] == [
        (RunResult.FAILED, "The app ended the connection without an answer.")
    ]


def test_the_gate_and_the_worker_agree_on_how_long_a_run_is_held() -> None:
    lua = (deliveries.__file__.rpartition("/tenants/")[0]) + "/provider/gate/actions.lua"
    with open(lua) as file:
        assert f"longest_ms, pause_ms = {int(deliveries.HELD_S * 1000)}, " in file.read()
