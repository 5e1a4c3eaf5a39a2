"""Figures, what they may be at most, and how they are shown and kept."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """value in `unit`; limit: what is promised at most, None where nothing is."""

    name: str
    value: float
    unit: str
    limit: float | None = None

    @property
    def ratio(self) -> float | None:
        """Of the limit; at most 1 is within it."""
        return None if self.limit is None else self.value / self.limit


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def show(figures: Sequence[Figure]) -> None:
    table = Table("Figure", "Value", "Limit", "Ratio", title="Freehold bench")
    for figure in figures:
        limit = "" if figure.limit is None else f"{figure.limit:g} {figure.unit}"
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}{'' if figure.ratio <= 1 else '  over'}"
        table.add_row(figure.name, f"{figure.value:.4g} {figure.unit}", limit, ratio)
    Console(width=110).print(table)


def keep(figures: Sequence[Figure], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [asdict(figure) | {"ratio": figure.ratio} for figure in figures]
    path.write_text(json.dumps({"figures": rows}, indent=2) + "\n")
