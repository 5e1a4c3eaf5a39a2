"""How much one instance may take of a gate, by its plan's class. Imports no Django.

The proxy's map names a class only for instances of another than the standard one, and looks there only once an instance is
past the smallest limits: a hundred thousand quiet instances cost nothing.
"""

from dataclasses import dataclass

WINDOW_S = 10
STANDARD = "standard"


@dataclass(frozen=True)
class Limits:
    """requests: in 10 s. open: requests under way at the same time, streams and WebSockets among them."""

    requests: int
    open: int


CLASSES = {"small": Limits(1_000, 100), STANDARD: Limits(5_000, 400), "large": Limits(50_000, 2_000)}


def parse(text: str) -> dict[str, Limits]:
    """`large:50000/2000,small:500/50`: these instead of what is said above. Raises ValueError naming the setting."""
    found = dict(CLASSES)
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, figures = part.partition(":")
        requests, _, at_once = figures.partition("/")
        if name not in CLASSES or not (requests.isdecimal() and at_once.isdecimal()) or "0" in (requests, at_once):
            raise ValueError(
                f"FREEHOLD_GATE_LIMITS: {part!r} is not CLASS:REQUESTS/OPEN, with one of {', '.join(CLASSES)} and"
                " whole numbers above zero"
            )
        found[name] = Limits(int(requests), int(at_once))
    return found
