"""For all tests. PostgreSQL and Redis come from tests.stores, before Django's settings are read."""

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from tests.clocks import Clock


@pytest.fixture(autouse=True)
def cheap_passwords(settings: Settings) -> None:
    """The real hasher takes a tenth of a second a password; whole Freeholds under test keep it."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """It stands at its start until the test sets it."""
    clock = Clock()
    monkeypatch.setattr(timezone, "now", clock)
    return clock
