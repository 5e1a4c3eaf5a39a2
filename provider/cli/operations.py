"""Waiting for an operation while its steps are shown: by its stream, and by asking again where there is none."""

import json
import time
from datetime import datetime

from provider.cli.api import Api, Document
from provider.cli.failures import Failure, Unreachable
from provider.cli.screen import Screen

_OVER = frozenset({"succeeded", "failed", "cancelled"})
_PAUSE_S = 1.0
# How long a provider may be away (a restart) before a wait is given up. The operation itself goes on regardless.
_PATIENCE_S = 120.0


class Steps:
    """Shows each step once when it is over."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._shown: set[str] = set()

    def show(self, operation: Document) -> None:
        for step in operation.get("steps", []):
            if step["state"] in _OVER and step["name"] not in self._shown:
                self._shown.add(step["name"])
                self._line(step)

    def _line(self, step: Document) -> None:
        title, took = step.get("title") or step["name"], _seconds(step)
        if step["state"] == "succeeded":
            self._screen.say(f"  ✓ {title}{took}", "green")
        elif step["state"] == "failed":
            self._screen.say(f"  ✗ {title}{took}: {step.get('detail', '')}", "red")


def wait_for(api: Api, screen: Screen, operation_id: str, *, title: str) -> Document:
    """The operation once it is over, in whatever state. Raises Unreachable when the provider stays away."""
    steps = Steps(screen)
    with screen.waiting(title):
        return _wait(api, operation_id, steps)


def _wait(api: Api, operation_id: str, steps: Steps) -> Document:
    path = f"operations/{operation_id}/"
    last_seen = time.monotonic()
    while True:
        try:
            operation = api.get(path)
            last_seen = time.monotonic()
            steps.show(operation)
            if operation["state"] in _OVER:
                return operation
            _watch(api, path, steps)
        except Unreachable:
            if time.monotonic() - last_seen > _PATIENCE_S:
                raise
            time.sleep(_PAUSE_S)


def _watch(api: Api, path: str, steps: Steps) -> None:
    """Show what the stream tells until it ends. Where none is to be had, let a moment pass instead."""
    try:
        for event in api.stream(f"{path}events/"):
            if event.name == "operation":
                steps.show(json.loads(event.data))
            elif event.name == "end":
                return
    except (Failure, ValueError):
        time.sleep(_PAUSE_S)


def require_success(operation: Document, hint: str) -> None:
    """Raises Failure with the operation's own reason and what to do next."""
    if operation["state"] != "succeeded":
        reason = operation.get("error") or f"The operation was {operation['state']}."
        if isinstance(reason, dict):
            reason = reason.get("message", "")
        raise Failure(f"{reason}\n{hint}", code="operation_failed", detail={"operation": operation.get("id")})


def _seconds(step: Document) -> str:
    if not (step.get("started_at") and step.get("finished_at")):
        return ""
    took = datetime.fromisoformat(step["finished_at"]) - datetime.fromisoformat(step["started_at"])
    return f" ({took.total_seconds():.1f} s)"
