"""Refusals of use-cases: what a person did or asked that cannot be, never a defect of ours."""

from typing import Any


class Refused(Exception):
    """code is for programs (a slug), str() a sentence for people, field the input it is about, detail more facts.

    The API answers with `status`; pages show the sentence beside the field.
    """

    status = 422

    def __init__(
        self, code: str, message: str, *, field: str | None = None, detail: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.code, self.field, self.detail = code, field, detail or {}


class QuotaExceeded(Refused):
    """detail: {"resource": …, "limit": …, "used": …, "needed": …} of the first resource that does not suffice."""

    def __init__(self, message: str, detail: dict[str, Any]) -> None:
        super().__init__("quota_exceeded", message, detail=detail)


class Unavailable(Refused):
    """Something that is needed does not answer now; the same may be asked again in a moment."""

    status = 503


class Conflict(Refused):
    """The thing is in a state in which this cannot be done now."""

    status = 409
