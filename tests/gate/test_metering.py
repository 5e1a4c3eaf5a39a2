"""What went through a gate is counted by the proxy and written down by its agent, once."""

import psycopg
import pytest
from django.conf import settings
from django.db import connection

from provider.gate.usage import Meter
from tenants.models import UsageMonth
from tests.gate.running import Gate, wait_until
from tests.gate.tenancy import House, new_house, settle
from tests.gate.wire import Upstream


@pytest.fixture
def house(gate: Gate) -> House:
    house = new_house()
    house.add("", Upstream("main"), [])
    settle(gate, house)
    return house


def database() -> psycopg.Connection:
    given = connection.get_connection_params()
    return psycopg.connect(settings.DATABASE_URL, dbname=given["dbname"], autocommit=True)


def used(house: House) -> UsageMonth | None:
    return UsageMonth.objects.filter(subject=house.instance.pk).first()


def test_requests_and_bytes_of_an_app_are_counted_once_however_often_they_are_read(gate: Gate, house: House) -> None:
    body = b"x" * 20_000
    for _ in range(5):
        assert gate.http.ask(house.host, "/", house.cookie(), method="POST", body=body).status == 200

    def read(meter: Meter) -> int:
        meter.read_at = float("-inf")
        meter.read(session)
        row = used(house)
        return row.requests if row else 0

    with database() as session:
        first, second = Meter(gate.proxy, "one"), Meter(gate.proxy, "one")
        wait_until(lambda: read(first) == 5, "five requests")
        assert read(first) == 5
        assert read(second) == 5  # an agent that was started again
        row = used(house)
        assert row is not None
        assert row.bytes_in >= 5 * len(body)
        assert row.bytes_out > 0
        gate.http.ask(house.host, "/", house.cookie())
        wait_until(lambda: read(second) == 6, "one more")
