"""Bars over time. The same numbers always stand in a table beside them."""

from collections.abc import Sequence
from dataclasses import dataclass

HEIGHT = 100


@dataclass(frozen=True)
class Bar:
    """x: number of its span. y, height: of HEIGHT. label: for whoever points at it."""

    x: int
    y: float
    height: float
    label: str


@dataclass(frozen=True)
class Graph:
    """tone: "bad" for what nobody wants to see grow."""

    title: str
    total: str
    bars: tuple[Bar, ...]
    tone: str = ""


def drawn(title: str, total: str, values: Sequence[float], labels: Sequence[str], tone: str = "") -> Graph:
    most = max(values) or 1
    bars = [
        Bar(x, HEIGHT - HEIGHT * value / most, HEIGHT * value / most, label)
        for x, (value, label) in enumerate(zip(values, labels, strict=True))
    ]
    return Graph(title, total, tuple(bars), tone)
