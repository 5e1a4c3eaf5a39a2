"""One instance, or one address, cannot take the whole gate; and others do not notice when it tries."""

import socket
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from provider.gate import limits
from tenants import feed
from tenants.models import Cloud, Override, Plan, RateClass
from tests.gate.conftest import Gate, errors_of, wait_until
from tests.gate.tenancy import House, new_house, settle
from tests.gate.wire import TIMEOUT_S, Reply, Upstream, read_reply, spell

# As tests/gate/conftest.py starts the gate.
SMALL = limits.parse("small:50/20")["small"]
STRANGER = "127.77.0.9"
JSON, HTML = ("Accept", "application/json"), ("Accept", "text/html")


@pytest.fixture
def upstream(upstreams: Callable[[str], Upstream]) -> Upstream:
    return upstreams("main")


@pytest.fixture
def small(gate: Gate, upstream: Upstream) -> House:
    """Of somebody whose plan is a small one."""
    house = new_house()
    house.add("", upstream, ["/open/*"])
    plan, _ = Plan.objects.get_or_create(
        slug="gate-small",
        defaults={"cpu_millis": 1, "memory_mib": 1, "storage_mib": 1, "instances": 1, "rate_class": RateClass.SMALL},
    )
    Cloud.objects.filter(pk=house.instance.cloud_id).update(plan=plan)
    settle(gate, house)
    wait_until(lambda: gate.entry("classes", house.instance.id) == "small", "its class is known")
    return house


def _is_refused(reply: Reply) -> bool:
    return (reply.status, reply.header("retry-after"), reply.header("cache-control")) == (429, "10", "no-store")


def _again_and_again(gate: Gate, house: House, count: int) -> list[Reply]:
    """One after another on one connection."""
    answers = []
    with gate.http.connect() as connection:
        for _ in range(count):
            connection.sendall(spell(house.host, "/p", house.cookie(), JSON))
            answers.append(read_reply(connection))
    return answers


def test_an_instance_answers_as_often_as_its_plan_says(gate: Gate, small: House, upstream: Upstream) -> None:
    answers = _again_and_again(gate, small, SMALL.requests + 1)
    assert [one.status for one in answers] == [200] * SMALL.requests + [429]
    assert _is_refused(answers[-1]) and errors_of(answers[-1]) == ["Too many requests"]
    assert len(upstream.seen) == SMALL.requests
    page = gate.http.ask(small.host, "/p", small.cookie(), HTML)
    assert _is_refused(page) and "Too many requests</h1>" in page.text


def test_an_instance_holds_as_many_streams_as_its_plan_says_and_another_is_not_touched(
    gate: Gate, small: House, upstream: Upstream, upstreams: Callable[[str], Upstream]
) -> None:
    neighbour = new_house()
    neighbour.add("", upstreams("neighbour"), [])
    settle(gate, neighbour)
    streams = [gate.http.connect() for _ in range(SMALL.open)]
    for stream in streams:
        stream.sendall(spell(small.host, "/events", small.cookie()))
    wait_until(lambda: len(upstream.seen) == SMALL.open, "all streams are open")
    assert _is_refused(gate.http.ask(small.host, "/p", small.cookie(), JSON))
    assert gate.http.ask(neighbour.host, "/p", neighbour.cookie(), JSON).status == 200
    for stream in streams:
        stream.close()
    wait_until(lambda: gate.http.ask(small.host, "/p", small.cookie(), JSON).status == 200, "there is room again")


def test_an_override_that_counts_goes_before_the_plan(gate: Gate, small: House) -> None:
    def follows(rate_class: str | None) -> None:
        feed.changed(small.instance.id)
        wait_until(lambda: gate.entry("classes", small.instance.id) == rate_class, f"the class is {rate_class}")

    now = timezone.now()
    given = {"cloud_id": small.instance.cloud_id, "reason": "x"}
    Override.objects.create(rate_class=RateClass.LARGE, ends_at=now - timedelta(hours=1), **given)
    follows("small")
    Override.objects.create(rate_class=RateClass.LARGE, **given)
    Override.objects.create(builds=3, **given)
    follows("large")
    Override.objects.create(rate_class=RateClass.STANDARD, **given)
    follows(None)


def test_an_instance_of_no_small_plan_goes_on_past_small_limits(
    gate: Gate, upstreams: Callable[[str], Upstream]
) -> None:
    house = new_house()
    house.add("", upstreams("standard"), [])
    settle(gate, house)
    assert {one.status for one in _again_and_again(gate, house, SMALL.requests + 20)} == {200}


@pytest.fixture
def flooding(gate: Gate) -> Iterator[Callable[[str, str], None]]:
    """As if an address had done something very often."""
    tables: list[str] = []

    def pretend(table: str, what: str) -> None:
        tables.append(table)
        assert not gate.proxy._command(f"set table {table} key ::ffff:{STRANGER} data.{what} 1000000").strip()

    yield pretend
    for table in tables:
        gate.proxy._command(f"clear table {table} key ::ffff:{STRANGER}")


def _from_stranger(gate: Gate, raw: bytes) -> Reply:
    with socket.create_connection(("127.0.0.1", gate.http.port), TIMEOUT_S, (STRANGER, 0)) as connection:
        connection.sendall(raw)
        return read_reply(connection)


def test_an_address_that_asks_too_much_is_refused_before_the_provider_is_asked(
    gate: Gate, small: House, upstream: Upstream, flooding: Callable[[str, str], None]
) -> None:
    assert _from_stranger(gate, spell(small.host, "/p", JSON)).status == 401
    flooding("asks", "http_req_rate")
    gate.stop("live")  # whoever were to ask it would be told otherwise
    assert _is_refused(_from_stranger(gate, spell(small.host, "/p", JSON)))
    assert _from_stranger(gate, spell(small.host, "/p", small.cookie(), JSON)).status == 200
    assert gate.http.ask(small.host, "/p", JSON).status == 502
    assert len(upstream.seen) == 1


def test_an_address_with_too_many_connections_gets_no_more(
    gate: Gate, small: House, flooding: Callable[[str, str], None]
) -> None:
    flooding("per_client", "conn_cur")
    with pytest.raises(OSError):
        _from_stranger(gate, spell(small.host, "/p", small.cookie(), JSON))
    assert gate.http.ask(small.host, "/p", small.cookie(), JSON).status == 200


@pytest.mark.parametrize("text", ["tiny:1/1", "small:0/5", "small:5", "small:a/b", "small", "small:-1/3"])
def test_a_limit_that_makes_no_sense_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="FREEHOLD_GATE_LIMITS"):
        limits.parse(text)
