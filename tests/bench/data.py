"""The data server beside a bare handler that runs the same statement or copies the same file, in the same minute.

`python -m tests.bench.data` measures only this.
"""

import contextlib
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.bench.table import Figure, median, show
from tests.data_server.running import Data, open_collection, running
from tests.free_ports import free_port

ROUNDS = 600
ITEMS = 100_000
PART = 10 * 1024 * 1024
PARTS = 12
GIGABYTE_PARTS = 100
HALF, SIX_TENTHS = 1 / 0.5, 1 / 0.6  # "at least half as fast" is "at most twice the time"
ITEM = {"name": "somebody", "age": 30, "tags": ["a", "b"], "address": {"city": "Oslo", "zip": 12345}}


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="freehold-bench-data-") as scratch:
        folder = Path(scratch)
        with running(folder / "server") as server, _bare(folder) as bare:
            time.sleep(1)
            idle = Figure("Data server, idle, PSS", server.memory_kib() / 1024, "MB", 50)
            data = open_collection(server)
            with contextlib.closing(_connection(server.port)) as ours, contextlib.closing(bare) as other:
                return [
                    idle,
                    *_base(data, ours, other),
                    *_queries(data),
                    *_drive(data, ours, other),
                    *_export(data, folder),
                ]


def _base(data: Data, ours: http.client.HTTPConnection, bare: http.client.HTTPConnection) -> list[Figure]:
    """In turns, so that what else the machine does hits both."""
    root, headers = f"/v1/{data.project_id}/bench/items", {"X-API-Key": data.key}
    times: dict[str, list[float]] = {name: [] for name in ("put", "bare put", "get", "bare get")}
    for number in range(ROUNDS):
        item = json.dumps({"key": f"k{number}", **ITEM})
        times["put"].append(_ms(ours, "PUT", root, f'{{"items":[{item}]}}'.encode(), headers))
        times["bare put"].append(_ms(bare, "PUT", f"/items/k{number}", item.encode()))
        times["get"].append(_ms(ours, "GET", f"{root}/k{number}", None, headers))
        times["bare get"].append(_ms(bare, "GET", f"/items/k{number}", None))
    p50 = {name: median(some) for name, some in times.items()}
    return [
        Figure("Base put, p50", p50["put"], "ms", 2),
        Figure("Base put, times a bare handler's", p50["put"] / p50["bare put"], "", HALF),
        Figure("Base get, p50", p50["get"], "ms", 2),
        Figure("Base get, times a bare handler's", p50["get"] / p50["bare get"], "", HALF),
    ]


def _queries(data: Data) -> list[Figure]:
    for start in range(0, ITEMS, 25):
        items = [{"key": f"{n:06}", **ITEM, "age": n % 100, "price": n * 0.37 % 1000} for n in range(start, start + 25)]
        assert data.put(*items, name="many").status_code == 207
    queries = {"equal": {"address.zip": 1}, "range": {"price?r": [10, 10.5]}, "contains": {"name?contains": "xyz"}}
    return [
        Figure(f"Query over {ITEMS:,} items, {name}, p50", _times(lambda q=query: _query(data, q), 9), "ms", 60)  # type: ignore[misc]
        for name, query in queries.items()
    ]


def _query(data: Data, query: object) -> None:
    answer = data.query([query], name="many")
    assert answer.status_code == 200 and "last" not in answer.json()["paging"]


def _drive(data: Data, ours: http.client.HTTPConnection, bare: http.client.HTTPConnection) -> list[Figure]:
    content = os.urandom(PART)
    root, headers = f"/v1/{data.project_id}/bench", {"X-API-Key": data.key}

    def upload(parts: int) -> None:
        begun = json.loads(_ask(ours, "POST", f"{root}/uploads?name=big", None, headers))
        where = f"{root}/uploads/{begun['upload_id']}"
        for number in range(parts):
            _ask(ours, "POST", f"{where}/parts?name=big&part={number + 1}", content, headers)
        _ask(ours, "PATCH", f"{where}?name=big", None, headers)

    def copy() -> None:
        for number in range(PARTS):
            _ask(bare, "PUT", f"/files/{number}", content)

    def download() -> None:
        assert len(_ask(ours, "GET", f"{root}/files/download?name=big", None, headers)) == PARTS * PART

    def copy_back() -> None:
        for number in range(PARTS):
            _ask(bare, "GET", f"/files/{number}", None)

    up = _ratio(lambda: upload(PARTS), copy)
    down = _ratio(download, copy_back)
    before = data.server.memory_kib()
    upload(GIGABYTE_PARTS)
    growth = (data.server.memory_kib() - before) / 1024
    return [
        Figure("Drive upload, times a plain copy", up, "", SIX_TENTHS),
        Figure("Drive download, times a plain copy", down, "", SIX_TENTHS),
        Figure("Growth by a gigabyte uploaded", max(0, growth), "MB", 20),
    ]


def _export(data: Data, folder: Path) -> list[Figure]:
    """Against `zip` of the same tree: what an export unpacks to."""
    with data.server.admin() as admin:
        began = time.monotonic()
        made = admin.post(f"/collections/{data.project_id}/exports").json()
        with admin.stream("GET", f"/exports/{made['id']}") as answer, (folder / "export.zip").open("wb") as file:
            for piece in answer.iter_raw(1024 * 1024):
                file.write(piece)
        took = time.monotonic() - began
        admin.delete(f"/exports/{made['id']}")
    subprocess.run(["unzip", "-q", "export.zip", "-d", "tree"], cwd=folder, check=True)
    began = time.monotonic()
    subprocess.run(["zip", "-qr", "../zipped.zip", "."], cwd=folder / "tree", check=True)
    return [Figure("Export, times zip's", took / (time.monotonic() - began), "", HALF)]


def _ratio(ours: Callable[[], None], bare: Callable[[], None]) -> float:
    """Median of three, in turns."""
    ratios = []
    for _ in range(3):
        times = []
        for act in (ours, bare):
            began = time.monotonic()
            act()
            times.append(time.monotonic() - began)
        ratios.append(times[0] / times[1])
    return median(ratios)


def _times(act: Callable[[], None], rounds: int) -> float:
    """Milliseconds, median."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        act()
        times.append((time.perf_counter() - began) * 1000)
    return median(times)


def _ms(
    web: http.client.HTTPConnection, method: str, path: str, body: bytes | None, headers: dict[str, str] | None = None
) -> float:
    began = time.perf_counter()
    _ask(web, method, path, body, headers)
    return (time.perf_counter() - began) * 1000


def _ask(
    web: http.client.HTTPConnection, method: str, path: str, body: bytes | None, headers: dict[str, str] | None = None
) -> bytes:
    web.request(method, path, body, headers or {})
    answer = web.getresponse()
    content = answer.read()
    assert answer.status < 300, content
    return content


def _connection(port: int) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", port, timeout=300)


@contextlib.contextmanager
def _bare(folder: Path) -> Iterator[http.client.HTTPConnection]:
    port = free_port()
    (folder / "bare").mkdir()
    process = subprocess.Popen([sys.executable, "-m", "tests.bench.bare", folder / "bare", str(port)])
    try:
        deadline = time.monotonic() + 20
        while True:
            web = _connection(port)
            with contextlib.suppress(ConnectionError):
                web.connect()
                break
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield web
    finally:
        process.terminate()
        process.wait(20)


if __name__ == "__main__":
    figures = measure()
    show(figures)
    sys.exit(any(figure.ratio is not None and figure.ratio > 1 for figure in figures))
