"""What Prometheus is told, and that everything which dashboards and alerts ask for is among it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from asgiref.sync import async_to_sync
from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from provider import asgi, metrics, pulse
from tenants.models import Operation
from tenants.services.instances import install_app
from tests.worlds import MemoryCluster, active_person, released

OBSERVABILITY = Path(__file__).resolve().parents[2] / "k8s" / "deploy" / "observability"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "REMEMBER_S", -1.0)


def told(path: str = "/metrics", **headers: str) -> tuple[int, bytes]:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    given = [(name.encode(), value.encode()) for name, value in headers.items()]
    async_to_sync(asgi.application)({"type": "http", "path": path, "headers": given}, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)


def samples() -> dict[tuple[str, tuple[str, ...]], float]:
    """(name, values of its labels) → value."""
    status, body = told()
    assert status == 200
    families = text_string_to_metric_families(body.decode())
    return {(s.name, tuple(s.labels.values())): s.value for family in families for s in family.samples}


def test_rows_are_counted_as_they_are(cluster: MemoryCluster, races: None) -> None:
    person, release = active_person(cluster), released(cluster)
    before = samples()
    install_app(person, app_slug=release.app.slug)
    now = samples()
    assert now["freehold_instances", ("installing",)] == before.get(("freehold_instances", ("installing",)), 0) + 1
    assert now["freehold_operations_open", ("install", "queued")] == 1
    assert now["freehold_operations_oldest_open_seconds", ("install",)] < 600
    assert now["freehold_unsettled", ("instance",)] == 1
    Operation.objects.filter(kind="install").update(state="failed", finished_at=timezone.now())
    now = samples()
    assert now["freehold_operations_total", ("install", "failed")] == 1
    assert now["freehold_operation_seconds_count", ("install", "failed")] == 1
    assert ("freehold_operations_open", ("install", "queued")) not in now


def test_a_silent_process_is_told_from_one_that_works() -> None:
    pulse._write("beat")
    now = samples()
    assert now["freehold_pulse_age_seconds", ("beat",)] < 60
    assert now["freehold_pulse_age_seconds", ("observer",)] == float("inf")


def test_decisions_are_counted_by_what_was_answered() -> None:
    before = samples().get(("freehold_gate_decisions_total", ("404",)), 0)
    assert told("/gate/decide", **{"x-gate-secret": "guessed"})[0] == 404
    assert samples()["freehold_gate_decisions_total", ("404",)] == before + 1


def test_numbers_come_while_the_database_and_redis_are_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_query: str) -> Any:
        raise DatabaseError("away")

    monkeypatch.setattr(metrics, "_query", away)
    monkeypatch.setattr(settings, "REDIS_URL", "redis://127.0.0.1:1/0")
    now = samples()
    assert (now["freehold_database_up", ()], now["freehold_redis_up", ()]) == (0, 0)
    assert not any(name == "freehold_instances" for name, _ in now)


def test_dashboards_and_alerts_ask_for_nothing_that_is_not_told(cluster: MemoryCluster, races: None) -> None:
    person, release = active_person(cluster), released(cluster)
    install_app(person, app_slug=release.app.slug)
    told("/gate/decide")
    text = told()[1].decode()
    names = {s.name for family in text_string_to_metric_families(text) for s in family.samples}
    names |= set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))
    groups = yaml.safe_load((OBSERVABILITY / "alerts.yaml").read_text())["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    board = json.loads((OBSERVABILITY / "dashboard.json").read_text())
    targets = [target for panel in board["panels"] for target in panel["targets"]]
    asked = {name for one in (*rules, *targets) for name in re.findall(r"\bfreehold_\w+", one["expr"])}
    assert asked <= names
    assert len(asked) > 10
    for rule in rules:
        assert rule["annotations"]["summary"]
        assert rule["alert"] in (OBSERVABILITY.parents[2] / "docs/operators/watching.md").read_text()
