"""One running Freehold for all journeys, and a real browser."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.journey.people import Person
from tests.journey.stack import Stack, discard, new_home


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/journey/" in item.nodeid:
            item.add_marker(pytest.mark.journey)


@pytest.fixture(scope="package")
def freehold() -> Iterator[Stack]:
    stack = Stack(new_home("journey"))
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()
        discard(stack.home)


@pytest.fixture
def person(freehold: Stack) -> Callable[[str], Person]:
    """Somebody new by that name."""
    return lambda name: Person(freehold, name)


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Chromium's own sandbox does not start as root; what it opens here are this project's pages only.
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield browser
        browser.close()
