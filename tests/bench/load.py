"""Load from `wrk` (Debian's package; .ci/bootstrap bench installs it), and what it saw."""

import json
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# wrk calls this at the end; latencies are in microseconds.
_REPORT = """
done = function(summary, latency, requests)
  local bad = summary.errors
  io.write(string.format('\\n{"requests": %d, "us": %d, "p50_us": %d, "p99_us": %d, "failed": %d, "refused": %d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    bad.connect + bad.read + bad.write + bad.timeout, bad.status))
end
"""


@dataclass(frozen=True)
class Load:
    """per_s: answers per second. p50_ms, p99_ms: from sending a request to its answer."""

    per_s: float
    p50_ms: float
    p99_ms: float


def load(
    port: int,
    headers: Mapping[str, str],
    *,
    connections: int,
    seconds: int,
    path: str = "/",
    method: str = "GET",
    refused: bool = False,
) -> Load:
    """Requests one after another on so many connections. Raises AssertionError when one was not answered by 2xx, or where
    all are to be refused, was."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as report:
        report.write(f'wrk.method = "{method}"\n{_REPORT}')
        report.flush()
        named = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
        size = ("-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(Path(report.name)))
        command = ("wrk", *size, *named, f"http://127.0.0.1:{port}{path}")
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = json.loads(said.strip().splitlines()[-1])
    assert found["failed"] == 0 and found["requests"] > 0, said
    assert found["refused"] == (found["requests"] if refused else 0), said
    return Load(found["requests"] / found["us"] * 1e6, found["p50_us"] / 1000, found["p99_us"] / 1000)
