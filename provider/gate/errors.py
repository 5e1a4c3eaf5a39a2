"""What the proxy itself says when nobody answers: pages for people, JSON for programs. Imports no Django."""

import json
from collections.abc import Iterable
from pathlib import Path

_NO_STORE = "hdr cache-control no-store"
_AGAIN = {503: "hdr retry-after 2", 429: "hdr retry-after 10"}
# By status of the proxy's own answers: which page of pages.FIXED, and what programs read.
APPS = {
    400: ("odd", "Bad request"),
    405: ("method", "Method not allowed"),
    408: ("slow", "The request took too long"),
    413: ("large", "Too large"),
    429: ("many", "Too many requests"),
    502: ("silent", "The app does not answer"),
    503: ("silent", "The app does not answer"),
    504: ("slow", "The app took too long"),
}
CONSOLE = {
    413: ("large", "too_large", "The request is too large."),
    429: ("many", "throttled", "Too many requests; try again in ten seconds."),
    502: ("away", "unavailable", "A part of Freehold is restarting; try again in a few seconds."),
    503: ("away", "unavailable", "A part of Freehold is restarting; try again in a few seconds."),
    504: ("away", "unavailable", "Freehold took too long to answer; try again in a few seconds."),
}


def pages(folder: Path) -> str:
    """For the proxy's defaults."""
    return _lines((status, _page(folder, name)) for status, (name, _) in APPS.items())


def for_programs() -> str:
    return _lines((status, _json({"errors": [said]})) for status, (_, said) in APPS.items())


def console_pages(folder: Path) -> str:
    return _lines((status, _page(folder, name)) for status, (name, _, _) in CONSOLE.items())


def console_for_programs() -> str:
    """The API's shape (provider/http_errors.py)."""
    return _lines(
        (status, _json({"error": {"code": code, "message": said, "field": None, "detail": {}}}))
        for status, (_, code, said) in CONSOLE.items()
    )


def undecided(folder: Path) -> str:
    return f"{_page(folder, 'undecided')} {_NO_STORE} hdr retry-after 3"


def undecided_for_programs() -> str:
    return f"{_json({'errors': ['The gate cannot decide now']})} {_NO_STORE} hdr retry-after 3"


def _page(folder: Path, name: str) -> str:
    return f'content-type "text/html; charset=utf-8" file {folder}/{name}.html'


def _json(said: object) -> str:
    return f"content-type application/json string '{json.dumps(said, separators=(',', ':'))}'"


def _lines(answers: Iterable[tuple[int, str]]) -> str:
    return "\n".join(
        f"  http-error status {status} {what} {_NO_STORE} {_AGAIN.get(status, '')}".rstrip() for status, what in answers
    )
