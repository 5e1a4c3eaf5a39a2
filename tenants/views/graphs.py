"""Bars over time. The same numbers always stand in a table beside them."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

HEIGHT = 100
# What one bar stands on, which can be pointed at where there is none, and the bar.
_GROUND = '<rect class="ground" x="{}.1" y="0" width=".8" height="100"><title>{}</title></rect>'
_BAR = '<rect x="{}.1" y="{}" width=".8" height="{}"><title>{}</title></rect>'


@dataclass(frozen=True)
class Graph:
    """total: what stands beside the title. tone: "bad" for what nobody wants to see grow. bars: as SVG."""

    title: str
    total: str
    number: int
    bars: SafeString
    tone: str = ""


def drawn(title: str, total: str, values: Sequence[float], labels: Sequence[str], tone: str = "") -> Graph:
    """One bar for each value, with its label for whoever points at it; the greatest is as high as the graph."""
    most = max(values, default=0) or 1
    ground = format_html_join("", _GROUND, enumerate(labels))
    heights = [round(HEIGHT * value / most, 3) for value in values]
    shown = [
        (x, round(HEIGHT - height, 3), height, label)
        for x, (height, label) in enumerate(zip(heights, labels, strict=True))
        if height
    ]
    return Graph(title, total, len(values), format_html("{}{}", ground, format_html_join("", _BAR, shown)), tone)
