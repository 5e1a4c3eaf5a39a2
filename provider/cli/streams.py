"""Server-sent events, read line by line."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class StreamEvent:
    name: str
    data: str


def events(lines: Iterable[str]) -> Iterator[StreamEvent]:
    """Each complete event of a stream; comments (the server's sign of life) and ids are passed over."""
    name, data = "message", list[str]()
    for line in lines:
        if not line:
            if data:
                yield StreamEvent(name, "\n".join(data))
            name, data = "message", []
            continue
        key, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if key == "event":
            name = value
        elif key == "data":
            data.append(value)
