"""One run of a command: where to, as whom, and what it shows."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

import typer

from provider.cli import config
from provider.cli.api import Api
from provider.cli.failures import Failure, NotSignedIn
from provider.cli.screen import Screen

Url = Annotated[
    str | None,
    typer.Option("--url", envvar="FREEHOLD_URL", help="The provider's console.", show_default=config.DEFAULT_URL),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output and nothing else.")]


@dataclass(frozen=True)
class Session:
    api: Api
    screen: Screen


@contextmanager
def session(url: str | None, as_json: bool, *, signed_in: bool = True) -> Iterator[Session]:
    """Raises typer.Exit with the failure's code after showing it."""
    with showing_failures(as_json) as screen:
        where = config.chosen_url(url)
        sign_in = config.sign_in_for(where) if signed_in else None
        if signed_in and sign_in is None:
            raise NotSignedIn(f"You are not signed in at {where}. Run: freehold login", code="not_signed_in")
        yield Session(Api(where, sign_in.token if sign_in else None), screen)


@contextmanager
def showing_failures(as_json: bool) -> Iterator[Screen]:
    """For commands that need no provider."""
    screen = Screen(as_json=as_json)
    try:
        yield screen
    except Failure as failure:
        screen.failure(failure)
        raise typer.Exit(failure.exit_code) from failure
