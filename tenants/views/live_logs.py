"""Logs of instances and of builds: as text, or followed as a stream."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.loader import render_to_string

from apps_catalog.models import Revision
from k8s.errors import ClusterError, NotFound
from k8s.specs import LogLine
from tenants import access
from tenants.models import Cloud, User
from tenants.reconcile import cluster
from tenants.states import InstanceState, RevisionState
from tenants.views import streams
from tenants.views.live import personal, refusal

FOLLOWERS = 64
TAIL, MOST = 200, 10_000
BATCH = 500
LOOK_S = 0.3
_BEFORE_THE_END = (RevisionState.QUEUED, RevisionState.BUILDING)
# A follower holds a thread for as long as somebody reads.
_followers = ThreadPoolExecutor(max_workers=FOLLOWERS, thread_name_prefix="live-logs")
_free = asyncio.Semaphore(FOLLOWERS)
_readers = ThreadPoolExecutor(max_workers=2, thread_name_prefix="live-text")

# (follow, stop) → lines
Source = Callable[[bool, Callable[[], bool] | None], Iterator[LogLine]]
Tell = Callable[[list[LogLine]], str]


@personal("instances")
async def instance_logs(user: User, request: HttpRequest, instance_id: str) -> HttpResponseBase:
    """`micro`: only that one. `tail`: how many of the last lines. `follow`: a stream of events `log`."""
    row = await streams.in_database(partial(access.instance_for, user, instance_id))
    tail = request.GET.get("tail", str(TAIL))
    if not tail.isascii() or not tail.isdecimal() or not 0 < len(tail) < 8:
        return refusal(request, 422, "invalid_tail", "tail is a number of lines.", "tail")
    micro = request.GET.get("micro") or None
    if micro is not None and micro not in {one.name for one in row.micros.all()}:
        return refusal(request, 404, "not_found", "The instance has no such micro.", "micro")
    if row.state == InstanceState.REMOVED:
        return _nothing(request)
    count = min(int(tail), MOST)

    def source(follow: bool, stop: Callable[[], bool] | None) -> Iterator[LogLine]:
        return cluster.of(row.cloud.cell_id).logs(
            row.cloud_id, row.pk, micro=micro, tail=count, follow=follow, stop=stop
        )

    single = micro is not None or len(row.micros.all()) == 1
    return await _answer(user, request, source, _plain if single else _named, single)


@personal("projects")
async def revision_logs(user: User, request: HttpRequest, slug: str, revision_id: str) -> HttpResponseBase:
    row = await streams.in_database(partial(access.revision_for, user, slug, revision_id))
    cloud = await streams.in_database(partial(access.cloud_of, user))

    def source(follow: bool, stop: Callable[[], bool] | None) -> Iterator[LogLine]:
        if follow:
            _wait_for_build(cloud, row.pk, stop)
        return cluster.of(cloud.cell_id).build_logs(cloud.pk, row.pk, follow=follow, stop=stop)

    return await _answer(user, request, source, _plain, True)


def _wait_for_build(cloud: Cloud, revision_id: str, stop: Callable[[], bool] | None) -> None:
    """Who follows the log right after the upload is there before the build is: it may wait for its turn for long."""
    while not (stop and stop()):
        waiting = streams.clean(Revision.objects.filter(pk=revision_id, state__in=_BEFORE_THE_END).exists)
        try:
            cluster.of(cloud.cell_id).build_status(cloud.pk, revision_id)
            return
        except NotFound:
            if not waiting:
                return
        time.sleep(LOOK_S)


def _plain(line: LogLine) -> str:
    return line.text


def _named(line: LogLine) -> str:
    return f"{line.micro}: {line.text}"


def _nothing(request: HttpRequest) -> HttpResponseBase:
    if request.GET.get("follow") in ("true", "1"):
        return streams.answer(_only_end())
    return HttpResponse("", content_type="text/plain; charset=utf-8")


async def _only_end() -> AsyncIterator[str]:
    yield streams.END


async def _answer(
    user: User, request: HttpRequest, source: Source, spell: Callable[[LogLine], str], single: bool
) -> HttpResponseBase:
    if request.GET.get("follow") not in ("true", "1"):
        return await _text(request, source, spell)
    if _free.locked():
        return refusal(request, 503, "busy", "Too many logs are being followed; try again in a moment.")
    return streams.answer(_stream(user.pk, source, _teller(request, spell, single)))


async def _text(request: HttpRequest, source: Source, spell: Callable[[LogLine], str]) -> HttpResponseBase:
    def read() -> str:
        return "".join(f"{spell(line)}\n" for line in source(False, None))

    try:
        text = await asyncio.get_running_loop().run_in_executor(_readers, read)
    except NotFound:
        return _nothing(request)
    except ClusterError as error:
        return refusal(request, 503, "cluster_unavailable", str(error))
    return HttpResponse(text, content_type="text/plain; charset=utf-8")


def _teller(request: HttpRequest, spell: Callable[[LogLine], str], single: bool) -> Tell:
    """Programs get an event per line; pages get what came together as one fragment."""
    if request.GET.get("as") == "html":
        return lambda lines: streams.event(
            "log", render_to_string("tenants/_log_lines.html", {"lines": lines, "one_micro": single})
        )
    return lambda lines: "".join(streams.event("log", spell(line)) for line in lines)


async def _stream(user_id: str, source: Source, tell: Tell) -> AsyncIterator[str]:
    gone = threading.Event()
    queue: asyncio.Queue[LogLine | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    started = time.monotonic()
    with streams.seats.one(user_id):
        async with _free:
            reading = loop.run_in_executor(_followers, _read, source, gone, loop, queue)
            try:
                # A page must not take silence for a stream that never opened.
                yield streams.ALIVE
                async for text in _told(queue, tell):
                    yield text
                    if text == streams.ALIVE and time.monotonic() - started >= streams.LONGEST_S:
                        return
            finally:
                gone.set()
                await asyncio.shield(reading)


async def _told(queue: "asyncio.Queue[LogLine | None]", tell: Tell) -> AsyncIterator[str]:
    while True:
        try:
            async with asyncio.timeout(streams.ALIVE_S):
                batch = [await queue.get()]
        except TimeoutError:
            yield streams.ALIVE
            continue
        while not queue.empty() and len(batch) < BATCH:
            batch.append(queue.get_nowait())
        lines = [line for line in batch if line is not None]
        if lines:
            yield tell(lines)
        if None in batch:
            yield streams.END
            return


def _read(
    source: Source, gone: threading.Event, loop: asyncio.AbstractEventLoop, queue: "asyncio.Queue[LogLine | None]"
) -> None:
    """In a thread: the lines into the queue, then None. Stops soon after `gone` is set."""
    try:
        for line in source(True, gone.is_set):
            if gone.is_set():
                return
            loop.call_soon_threadsafe(queue.put_nowait, line)
            while queue.qsize() > 4 * BATCH and not gone.wait(0.05):
                pass  # The reader is slower than the app writes: hold the file, not the memory.
    except ClusterError:
        pass  # Nothing to read (any more): the stream ends.
    finally:
        loop.call_soon_threadsafe(queue.put_nowait, None)
