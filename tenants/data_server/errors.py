"""What a request can be refused with. `errors` is what clients see; npm `deta` shows the first of them."""

from collections.abc import Sequence


class Refused(Exception):
    """Answered as `{"errors": […]}` with `status`."""

    status = 400

    def __init__(self, *errors: str) -> None:
        self.errors: Sequence[str] = errors
        super().__init__("; ".join(errors))


class BadQuery(Refused):
    """The first text is part of the contract; the second says which condition it was."""

    def __init__(self, why: str) -> None:
        super().__init__("Bad query", why)


class Unauthorized(Refused):
    status = 401

    def __init__(self) -> None:
        super().__init__("Unauthorized")


class NotFound(Refused):
    status = 404


class NotAllowed(Refused):
    """allow: the methods that there are."""

    status = 405

    def __init__(self, allow: str) -> None:
        self.allow = allow
        super().__init__("Method not allowed")


class Conflict(Refused):
    status = 409


class Gone(Refused):
    status = 410


class TooLarge(Refused):
    status = 413


class NoRange(Refused):
    """size_bytes: of what there is."""

    status = 416

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        super().__init__("The range asked for lies outside the file")


class Full(Refused):
    """Writes are refused at the quota or on a full disk; reads and deletes go on."""

    status = 507

    def __init__(self, why: str = "Storage quota exceeded: delete something or ask for more storage") -> None:
        super().__init__(why)
