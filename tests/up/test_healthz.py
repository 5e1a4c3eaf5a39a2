"""GET /healthz and GET /ca.pem."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from provider import healthz, queues
from tests import operators


@pytest.fixture(autouse=True)
def _nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(healthz, "_last", (0.0, {}))


@pytest.fixture(autouse=True)
def _everything_beats() -> Iterator[None]:
    with operators.everything_beats():
        yield


@pytest.fixture
def console() -> Client:
    return Client(headers={"host": settings.CONSOLE_HOST})


def test_says_ok_when_database_and_redis_answer(console: Client) -> None:
    answer = console.get("/healthz")
    assert answer.status_code == 200
    well = {"state": "ok", "detail": ""}
    components = dict.fromkeys(("redis", "database", *queues.PROCESSES), well)
    assert answer.json() == {"status": "ok", "components": components}


def test_names_the_database_when_it_is_away(console: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    answer = console.get("/healthz")
    assert answer.status_code == 503
    assert answer.json()["status"] == "degraded"
    assert answer.json()["components"]["database"]["state"] == "failing"
    assert answer.json()["components"]["redis"]["state"] == "ok"


def test_answers_within_a_second_when_the_database_accepts_and_says_nothing(
    console: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(settings, "DATABASE_URL", f"postgresql://a:b@127.0.0.1:{silent.getsockname()[1]}/none")
        began = time.monotonic()
        answer = console.get("/healthz")
        assert time.monotonic() - began < 1.0
    assert answer.status_code == 503
    assert "no answer" in answer.json()["components"]["database"]["detail"]


def test_shows_what_the_supervisor_says_of_each_process(
    console: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    said = {"beat": {"state": "failing", "detail": "last heartbeat 40 s ago"}}
    monkeypatch.setattr(settings, "FREEHOLD_RUN", tmp_path)
    with socket.socket(socket.AF_UNIX) as supervisor:
        supervisor.bind(str(tmp_path / "up.sock"))
        supervisor.listen()

        def answer_once() -> None:
            connection, _ = supervisor.accept()
            connection.sendall(json.dumps(said).encode())
            connection.close()

        threading.Thread(target=answer_once, daemon=True).start()
        answer = console.get("/healthz")
    assert answer.status_code == 503
    assert answer.json()["components"]["beat"] == said["beat"]


def test_gives_out_the_certificate_authority(console: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(settings, "FREEHOLD_HOME", tmp_path)
    assert console.get("/ca.pem").status_code == 404
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    answer = console.get("/ca.pem")
    assert answer.status_code == 200
    assert b"".join(answer.streaming_content) == b"-----BEGIN CERTIFICATE-----\n"  # type: ignore[attr-defined]
