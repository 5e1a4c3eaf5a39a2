"""Prometheus text, on the live process's inner address at `/metrics`; the gate answers 404 for it outside.

What rows tell is read from them when it is asked for, so no process has to remember it and none loses it; every replica
tells the same. What only this process knows (the gate's questions) are counters of its own.
"""

import asyncio
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

from django.db import Error, close_old_connections, connection
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector

from provider import queues

PATH = "/metrics"
REMEMBER_S = 10.0  # however many ask, rows are counted this often
registry = CollectorRegistry()
ProcessCollector(registry=registry)
DECISIONS = Counter(
    "freehold_gate_decisions", "Questions of the gate, by the answer's status.", ["status"], registry=registry
)
DECISION_SECONDS = Histogram(
    "freehold_gate_decision_seconds",
    "How long the gate waited for an answer.",
    registry=registry,
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10),
)
_threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="metrics")

# name, what it tells, labels, a query for (labels…, value).
_GAUGES: tuple[tuple[str, str, tuple[str, ...], str], ...] = (
    ("freehold_people", "Accounts.", (), "SELECT count(*) FROM tenants_user"),
    ("freehold_clouds", "Clouds by state.", ("state",), "SELECT state, count(*) FROM tenants_cloud GROUP BY 1"),
    (
        "freehold_instances",
        "Instances by state, without removed ones.",
        ("state",),
        "SELECT state, count(*) FROM tenants_instance WHERE state <> 'removed' GROUP BY 1",
    ),
    (
        "freehold_data_servers",
        "Data servers by state.",
        ("state",),
        "SELECT state, count(*) FROM tenants_dataserver GROUP BY 1",
    ),
    (
        "freehold_operations_open",
        "Operations that are not over.",
        ("kind", "state"),
        "SELECT kind, state, count(*) FROM tenants_operation WHERE state IN ('queued', 'running') GROUP BY 1, 2",
    ),
    (
        "freehold_operations_oldest_open_seconds",
        "Age of the oldest operation that is not over.",
        ("kind",),
        """SELECT kind, extract(epoch FROM now() - min(created_at)) FROM tenants_operation
           WHERE state IN ('queued', 'running') GROUP BY 1""",
    ),
    (
        "freehold_unsettled",
        "Rows whose cluster is not yet as wanted.",
        ("what",),
        """SELECT 'instance', count(*) FROM tenants_instance WHERE observed_generation < generation
           UNION ALL SELECT 'cloud', count(*) FROM tenants_cloud WHERE observed_generation < generation
           UNION ALL SELECT 'data_server', count(*) FROM tenants_dataserver WHERE observed_generation < generation""",
    ),
)
# Where nobody pays, nothing is to come and nothing is read: the last two are not told then.
_MONEY_GAUGES: tuple[tuple[str, str, tuple[str, ...], str], ...] = (
    (
        "freehold_billing_accounts",
        "Subscriptions by the mode of the payment provider and its word for their state.",
        ("mode", "status"),
        """SELECT CASE WHEN livemode THEN 'live' ELSE 'test' END, status, count(*) FROM tenants_billingaccount
           WHERE customer <> '' AND status <> '' GROUP BY 1, 2""",
    ),
    (
        "freehold_billing_unsettled",
        "Accounts that the payment provider is still to be asked about, in the mode in which its list was read last.",
        (),
        """SELECT count(*) FROM tenants_billingaccount WHERE settled < noticed AND customer <> ''
           AND livemode = (SELECT livemode FROM tenants_eventcursor ORDER BY read_until DESC LIMIT 1)""",
    ),
    (
        "freehold_billing_event_lag_seconds",
        "From an event to its arrival by itself: the slowest of the last hour.",
        (),
        """SELECT max(extract(epoch FROM received_at - created_at)) FROM tenants_paymentevent
           WHERE received_at > now() - interval '1 hour' AND NOT was_fetched HAVING count(*) > 0""",
    ),
    (
        "freehold_billing_list_age_seconds",
        "Since the payment provider's list of events was read last, where somebody has a subscription.",
        (),
        """SELECT extract(epoch FROM now() - max(read_until)) FROM tenants_eventcursor c WHERE EXISTS (
           SELECT FROM tenants_billingaccount a WHERE a.livemode = c.livemode AND a.customer <> ''
           AND a.status IN ('trialing', 'active', 'past_due')) HAVING count(*) > 0""",
    ),
)
_EVENTS = "SELECT kind, outcome, count FROM tenants_paymenteventcount"
_FINISHED = """SELECT kind, state, count(*), sum(extract(epoch FROM finished_at - created_at)) FROM tenants_operation
               WHERE finished_at IS NOT NULL GROUP BY 1, 2"""
_HAPPENED = "SELECT what, sum(count) FROM tenants_usagecount GROUP BY 1"


class _Rows(Collector):
    """What the database and the broker tell. What cannot be asked is missing, and `freehold_database_up` says so."""

    def __init__(self) -> None:
        self._asked_at, self._found = float("-inf"), list[Metric]()

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        if time.monotonic() - self._asked_at > REMEMBER_S:
            self._found, self._asked_at = list(_ask()), time.monotonic()
        return self._found


registry.register(_Rows())


def _ask() -> Iterator[Metric]:
    close_old_connections()
    up = 1
    try:
        yield from list(_of_the_database())
    except Error:
        up = 0
    finally:
        connection.close()
    yield GaugeMetricFamily("freehold_database_up", "Whether the database answers.", value=up)
    yield from _of_redis()


def _of_the_database() -> Iterator[Metric]:
    for name, what, labels, query in (*_GAUGES, *_MONEY_GAUGES):
        gauge = GaugeMetricFamily(name, what, labels=labels)
        for *values, number in _query(query):
            gauge.add_metric(values, float(number))
        yield gauge
    over = CounterMetricFamily(
        "freehold_operations", "Operations that are over, by how they ended.", labels=["kind", "state"]
    )
    took = SummaryMetricFamily("freehold_operation_seconds", "From order to end.", labels=["kind", "state"])
    for kind, state, number, seconds in _query(_FINISHED):
        over.add_metric([kind, state], number)
        took.add_metric([kind, state], number, float(seconds))
    yield from (over, took)
    happened = CounterMetricFamily("freehold_happened", "Wakes, builds and runs of schedules.", labels=["what"])
    for what, number in _query(_HAPPENED):
        happened.add_metric([what], float(number))
    yield happened
    events = CounterMetricFamily(
        "freehold_billing_events",
        "Events of the payment provider, by what became of them; the kind of a refused one is not believed.",
        labels=["kind", "outcome"],
    )
    for kind, outcome, number in _query(_EVENTS):
        events.add_metric([kind, outcome], float(number))
    yield events


def _query(query: str) -> Sequence[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        found: Sequence[tuple[Any, ...]] = cursor.fetchall()
        return found


def _of_redis() -> Iterator[Metric]:
    """A process whose pulse is not there has been silent for longer than a pulse is kept."""
    pulses = GaugeMetricFamily(
        "freehold_pulse_age_seconds", "Since a process last proved that it works.", labels=["process"]
    )
    found = queues.asked()
    for process, age in found.ages.items():
        pulses.add_metric([process], age)
    yield pulses
    yield GaugeMetricFamily("freehold_redis_up", "Whether Redis answers.", value=int(found.is_up))
    yield GaugeMetricFamily("freehold_queue_length", "Tasks that no worker has taken yet.", value=found.waiting)


@cache
def _answered(status: int) -> Counter:
    return DECISIONS.labels(str(status))


def decided(status: int, seconds: float) -> None:
    _answered(status).inc()
    DECISION_SECONDS.observe(seconds)


async def counted(endpoint: Any, scope: Any, receive: Any, send: Any) -> None:
    """The decision endpoint, and what it answered how soon."""
    began = time.perf_counter()

    async def sent(message: Any) -> None:
        if message["type"] == "http.response.start":
            decided(message["status"], time.perf_counter() - began)
        await send(message)

    await endpoint(scope, receive, sent)


async def endpoint(send: Any) -> None:
    """Raw ASGI, as is the decision endpoint beside it."""
    body = await asyncio.get_running_loop().run_in_executor(_threads, generate_latest, registry)
    headers = [(b"content-type", b"text/plain; version=0.0.4; charset=utf-8"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
