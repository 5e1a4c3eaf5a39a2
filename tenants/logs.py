"""Whose work a line of the log is about, so that every line of it carries the ids, whoever writes it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

_about: ContextVar[Mapping[str, str]] = ContextVar("about", default={})  # noqa: B039 - never changed, only replaced


@contextmanager
def about(**ids: str | None) -> Iterator[None]:
    """What is logged inside is about these: cloud, instance, operation, …; empty ones are left out."""
    token = _about.set({**_about.get(), **{name: value for name, value in ids.items() if value}})
    try:
        yield
    finally:
        _about.reset(token)


def also(**ids: str | None) -> None:
    """What is logged from here on, until the `about` around it ends."""
    _about.set({**_about.get(), **{name: value for name, value in ids.items() if value}})


def ids() -> Mapping[str, str]:
    return _about.get()
