"""A running Freehold to be hurt, an app to install in it, and somebody who does so."""

from collections.abc import Iterator

import pytest

from tests.journey.apps import RECORDER
from tests.journey.people import Person
from tests.journey.stack import Stack, discard, new_home


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/chaos/" in item.nodeid:
            item.add_marker(pytest.mark.chaos)


@pytest.fixture(scope="session")
def freehold() -> Iterator[Stack]:
    stack = Stack(new_home("chaos"))
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()
        discard(stack.home)


@pytest.fixture(scope="session")
def owner(freehold: Stack) -> Person:
    return Person(freehold, "owner")


@pytest.fixture(scope="session")
def app(owner: Person) -> str:
    """The slug of an app with one process."""
    return owner.publish("recorder", RECORDER)
