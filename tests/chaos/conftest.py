"""A running Freehold to be hurt, an app to install in it, and somebody who does so."""

from collections.abc import Iterator

import pytest

from tests.journey.apps import RECORDER
from tests.journey.people import Person
from tests.journey.stack import Stack, discard, new_home, until

# As RECORDER, with a disk of its own.
KEEPER = RECORDER | {
    "Spacefile": "v: 1\nvolume: /data\nmicros:\n  - {name: keeper, src: ., engine: python3.9, primary: true}\n"
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/chaos/" in item.nodeid:
            item.add_marker(pytest.mark.chaos)


@pytest.fixture(scope="package")
def freehold() -> Iterator[Stack]:
    stack = Stack(new_home("chaos"))
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()
        discard(stack.home)


@pytest.fixture(scope="package")
def owner(freehold: Stack) -> Person:
    return Person(freehold, "owner")


@pytest.fixture(scope="package")
def app(owner: Person) -> str:
    """The slug of an app with one process."""
    return owner.publish("recorder", RECORDER)


@pytest.fixture(scope="package")
def keeper(owner: Person) -> str:
    """The slug of an app with a disk."""
    return owner.publish("keeper", KEEPER)


@pytest.fixture(autouse=True)
def nothing_astray(freehold: Stack, owner: Person) -> Iterator[None]:
    """Whatever a test did to it: without instances nothing of any may be left, nor orphans of what was killed."""
    yield
    freehold.wait_until_well()
    for row in owner.call("GET", "instances/")["results"]:
        owner.remove(row["id"])
    try:
        until(lambda: not freehold.strays(), 20, "nothing astray")
    except AssertionError as error:
        raise AssertionError(f"{error}: {freehold.strays()}") from None
