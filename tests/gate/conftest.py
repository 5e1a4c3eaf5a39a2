"""A real gate: HAProxy, its agent and the live process, over the test database; upstreams that record what they get."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection

from tests.gate.running import CONSOLE, ROOT, Gate, _environment, keys, running, wait_until
from tests.gate.wire import Reply, Upstream

__all__ = ["CONSOLE", "ROOT", "Gate", "_environment", "errors_of", "keys", "wait_until"]


@pytest.fixture(scope="package")
def static() -> Iterator[Upstream]:
    """In the place of the static server."""
    upstream = Upstream("static")
    yield upstream
    upstream.close()


@pytest.fixture(scope="package")
def database(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """One of our own: rows are really committed, since other processes must see them, and events cannot be deleted."""
    name, tests = connection.settings_dict["NAME"], connection.settings_dict["TEST"]
    usual, tests["NAME"] = tests.get("NAME"), "gate_tests"
    with django_db_blocker.unblock():
        connection.close()
        connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
        yield
        connection.close()
        connection.creation.destroy_test_db(name, verbosity=0)
    tests["NAME"] = usual


@pytest.fixture(scope="package")
def running_gate(database: None, static: Upstream) -> Iterator[Gate]:
    with running(static.address, FREEHOLD_GATE_LIMITS="small:50/20") as gate:
        yield gate


@pytest.fixture
def gate(running_gate: Gate) -> Gate:
    running_gate.make_whole()
    return running_gate


@pytest.fixture
def upstreams() -> Iterator[Callable[[str], Upstream]]:
    made: list[Upstream] = []

    def make(name: str) -> Upstream:
        made.append(Upstream(name))
        return made[-1]

    yield make
    for upstream in made:
        upstream.close()


def errors_of(reply: Reply) -> list[str]:
    found: list[str] = json.loads(reply.body)["errors"]
    return found
