"""What the proxy knows follows the database; and whatever fails, nobody gets in who should not."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import psycopg
import pytest
from django.db import connection, transaction
from django.utils import timezone

from tenants import feed
from tenants.models import InstanceMicro, RevokedSession
from tenants.services.sessions import end_session
from tenants.states import InstanceState
from tests.gate.conftest import Gate, wait_until
from tests.gate.tenancy import House, new_house, settle
from tests.gate.wire import Upstream

JSON = ("Accept", "application/json")


@pytest.fixture
def upstream(upstreams: Callable[[str], Upstream]) -> Upstream:
    return upstreams("main")


@pytest.fixture
def house(gate: Gate, upstream: Upstream) -> House:
    house = new_house()
    house.add("", upstream, ["/open/*"])
    settle(gate, house)
    return house


def _enters(gate: Gate, house: House) -> bool:
    return gate.http.ask(house.host, "/p", house.cookie(), JSON).status == 200


def test_a_new_address_counts_within_half_a_second(
    gate: Gate, house: House, upstreams: Callable[[str], Upstream]
) -> None:
    moved = upstreams("moved")
    with transaction.atomic():
        InstanceMicro.objects.filter(instance=house.instance).update(upstream=moved.address)
        feed.changed(house.instance.id)
    wait_until(lambda: gate.upstream(house.instance.id) == moved.address, "the map follows", 0.5)
    assert _enters(gate, house) and moved.seen


def test_a_removed_instance_is_nothing_within_half_a_second(gate: Gate, house: House) -> None:
    house.change(state=InstanceState.REMOVED)
    wait_until(lambda: gate.entry("hosts", house.host) is None, "the host is gone", 0.5)
    assert gate.http.ask(house.host, "/p", house.cookie(), JSON).status == 404
    assert not [e for e in gate.proxy.entries("upstreams") if e.key.startswith(house.instance.id)]


def test_a_revoked_session_stops_even_while_a_long_transaction_is_open(gate: Gate, house: House) -> None:
    assert _enters(gate, house)
    with psycopg.connect(gate.env["DATABASE_URL"]) as other:
        other.execute("SELECT pg_current_xact_id()")  # now every later transaction is above the settled mark
        end_session(house.console_key)
        wait_until(lambda: not _enters(gate, house), "the session is over", 1.0)


def test_changes_that_commit_out_of_order_are_all_seen(gate: Gate, house: House) -> None:
    late, early = new_house(), new_house()
    with psycopg.connect(gate.env["DATABASE_URL"]) as other:
        other.execute(
            "INSERT INTO tenants_gatechange (kind, key, created_at) VALUES ('instance', %s, now())", [late.instance.id]
        )
        feed.changed(early.instance.id)
        wait_until(lambda: gate.entry("hosts", early.host), "the later transaction is seen first")
        assert gate.entry("hosts", late.host) is None
    wait_until(lambda: gate.entry("hosts", late.host), "the earlier transaction is seen as well")


def test_a_restarted_proxy_is_not_ready_before_its_maps_are_full_again(gate: Gate, house: House) -> None:
    gate.stop("agent")
    gate.stop("proxy", signal.SIGKILL)
    gate.start("proxy")
    wait_until(lambda: gate.entry("state", "loaded") is None and _answers(gate), "the proxy is back")
    assert not gate.is_ready()
    assert gate.http.ask(house.host, "/p", house.cookie(), JSON).status == 503
    gate.start("agent")
    wait_until(lambda: gate.is_ready() and gate.beats(), "the maps are full")
    assert _enters(gate, house)


def test_a_running_agent_fills_a_restarted_proxy(gate: Gate, house: House) -> None:
    gate.stop("proxy", signal.SIGKILL)
    gate.start("proxy")
    wait_until(lambda: gate.is_ready() and gate.beats(), "ready again")
    assert _enters(gate, house)


def _answers(gate: Gate) -> bool:
    try:
        return bool(gate.http.ask("x", "/").status)
    except OSError:
        return False


@pytest.fixture
def stale(gate: Gate, house: House) -> Iterator[Gate]:
    """A gate whose agent is frozen; its maps stay what they were."""
    agent = gate.processes["agent"]
    agent.send_signal(signal.SIGSTOP)
    try:
        wait_until(lambda: time.time() - float(gate.entry("state", "beat") or 0) > 6, "the heartbeat is old")
        yield gate
    finally:
        agent.send_signal(signal.SIGCONT)


def test_without_a_heartbeat_the_provider_is_asked_and_its_word_counts(
    stale: Gate, house: House, upstream: Upstream, upstreams: Callable[[str], Upstream]
) -> None:
    assert _enters(stale, house)
    assert upstream.last.header("x-freehold-user") == house.owner.id
    moved = upstreams("moved")
    InstanceMicro.objects.filter(instance=house.instance).update(upstream=moved.address)
    assert _enters(stale, house)
    assert moved.seen, "the address comes from the provider, not from the stale map"
    RevokedSession.objects.create(sid=house.session.sid, until=timezone.now() + timedelta(days=1))
    assert not _enters(stale, house)


def test_without_heartbeat_and_provider_nobody_gets_in(stale: Gate, house: House, upstream: Upstream) -> None:
    stale.stop("live", signal.SIGKILL)
    for headers in ((house.cookie(), JSON), (JSON,), (house.cookie(), ("Accept", "text/html"))):
        assert stale.http.ask(house.host, "/p", *headers).status == 502
    assert upstream.seen == []


def test_without_the_provider_the_signed_in_and_public_pages_go_on_and_everyone_else_is_refused(
    gate: Gate, house: House, upstream: Upstream
) -> None:
    gate.stop("live", signal.SIGKILL)
    assert gate.http.ask(house.host, "/p", JSON).status == 502
    assert upstream.seen == []
    assert gate.http.ask(house.host, "/open/x", JSON).status == 200
    assert upstream.last.header("x-freehold-user") is None
    assert _enters(gate, house)


def test_drift_in_the_maps_is_found_and_healed(gate: Gate, house: House, upstream: Upstream) -> None:
    right = gate.entry("hosts", house.host)
    assert right is not None and upstream.address in right
    gate.proxy.put("hosts", house.host, right.replace(upstream.address, "127.0.0.1:1"))
    gate.proxy.put("hosts", "ghost.apps.localhost", right)
    gate.stop("agent")
    gate.start("agent")
    wait_until(lambda: gate.entry("hosts", house.host) == right, "the address is right again")
    wait_until(lambda: gate.entry("hosts", "ghost.apps.localhost") is None, "the ghost is gone")


def test_the_agent_says_how_it_is(gate: Gate, house: House) -> None:
    status = json.loads((gate.run / "gate-agent.json").read_text())
    assert status["error"] == "" and time.time() - status["beat"] < 3 and status["instances"] >= 1


def test_the_agent_survives_the_loss_of_its_database_connection(gate: Gate, house: House) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'gate-agent'")
    fresh = new_house()
    feed.changed(fresh.instance.id)
    wait_until(lambda: gate.entry("hosts", fresh.host), "changes are seen again")
