"""What ends a command early, with the exit code that programs see."""

from typing import Any

DONE, FAILED, USAGE, NOT_SIGNED_IN = 0, 1, 2, 3


class Failure(Exception):
    """str() is a sentence for people; code a slug for programs; field the input that is to blame, if one is."""

    exit_code = FAILED

    def __init__(
        self, message: str, *, code: str = "failed", field: str | None = None, detail: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.code, self.field, self.detail = code, field, detail or {}

    def document(self) -> dict[str, Any]:
        """The shape of the API's own errors."""
        return {"error": {"code": self.code, "message": str(self), "field": self.field, "detail": self.detail}}


class Unreachable(Failure):
    """Nobody answered, or not sensibly, although the call was tried again."""


class Usage(Failure):
    exit_code = USAGE


class NotSignedIn(Failure):
    exit_code = NOT_SIGNED_IN
