"""Server-sent events: how they are written, who may hold how many, and how often the database is looked at."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from django.db import close_old_connections
from django.http import Http404, StreamingHttpResponse

from tenants.live import listen

T = TypeVar("T")
ALIVE_S = 15.0  # a proxy cuts a stream that is silent for longer
# A stream ends after this long and the browser comes back: by then it may have been signed out.
LONGEST_S = 300.0
PER_PERSON = 24
# Looks are short, so a few threads with a connection each serve every stream of the process.
_database = ThreadPoolExecutor(max_workers=4, thread_name_prefix="live-database")
ALIVE = ": alive\n\n"
END = "event: end\ndata: over\n\n"


@dataclass(frozen=True)
class Sight:
    """One thing as it is now. version: changes when what `show` would return changes. over: nothing will follow."""

    event: str
    version: Any
    show: Callable[[], str]
    over: bool = False


Look = Callable[[], list[Sight]]


async def in_database(work: Callable[[], T]) -> T:
    """Run something short that asks the database, off the event loop."""
    return await asyncio.get_running_loop().run_in_executor(_database, partial(clean, work))


def clean(work: Callable[[], T]) -> T:
    """For threads that no request begins and ends: they keep no connection that the server has closed."""
    close_old_connections()
    try:
        return work()
    finally:
        close_old_connections()


def event(name: str, data: str) -> str:
    lines = "".join(f"data: {line}\n" for line in data.splitlines() or [""])
    return f"event: {name}\n{lines}\n"


class Seats:
    """How many streams each person holds in this process."""

    def __init__(self, per_person: int) -> None:
        self._per_person = per_person
        self._taken: Counter[str] = Counter()

    def is_full(self, user_id: str) -> bool:
        return self._taken[user_id] >= self._per_person

    @contextmanager
    def one(self, user_id: str) -> Iterator[None]:
        self._taken[user_id] += 1
        try:
            yield
        finally:
            self._taken[user_id] -= 1
            if not self._taken[user_id]:
                del self._taken[user_id]


seats = Seats(PER_PERSON)


async def changes(cloud_id: str, user_id: str, look: Look) -> AsyncIterator[str]:
    """What `look` sees at first, and whatever of it changes, until it is over, gone, or has lasted long enough."""
    shown: dict[str, Any] = {}
    started = spoken = time.monotonic()
    with seats.one(user_id):
        async with aclosing(listen(cloud_id)) as hints:  # type: ignore[type-var]
            async for _ in hints:
                try:
                    fresh, over = await in_database(partial(_news, look, shown))
                except Http404:
                    yield END
                    return
                now = time.monotonic()
                for text in fresh:
                    spoken = now
                    yield text
                if over:
                    yield END
                    return
                if now - spoken >= ALIVE_S:
                    spoken = now
                    yield ALIVE
                if now - started >= LONGEST_S:
                    return


def _news(look: Look, shown: dict[str, Any]) -> tuple[list[str], bool]:
    """Events of what differs from `shown`, which is brought up to date; and whether everything is over."""
    sights = look()
    fresh = []
    for sight in sights:
        key = f"{sight.event} {sight.version.get('id', '')}" if isinstance(sight.version, dict) else sight.event
        if key not in shown or shown[key] != sight.version:
            shown[key] = sight.version
            fresh.append(event(sight.event, sight.show()))
    return fresh, bool(sights) and all(sight.over for sight in sights)


def answer(body: AsyncIterator[str]) -> StreamingHttpResponse:
    headers = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}
    return StreamingHttpResponse(body, content_type="text/event-stream; charset=utf-8", headers=headers)
