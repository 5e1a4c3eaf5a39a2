"""`manage.py up` with its real processes. One run serves the tests that leave it whole."""

import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from provider.up.child import SOURCE
from provider.up.table import CONSOLE_HOST
from tests.journey import traces
from tests.up.running import Up, of_home, until, up

pytestmark = pytest.mark.journey

PLATFORM = ("postgres", "redis", "node", "static", "web", "live", "worker", "beat", "observer", "gate-agent", "gate")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("up") / "home") as one:
        ready(one.start(), 180)
        shutil.copy(one.output, first_output(one))
        yield one
        assert one.stop() == 0
        assert of_home(one.home.path) == []


def ready(one: Up, seconds: float) -> None:
    until(lambda: "Freehold is ready" in one.output.read_text(), f"ready, see {one.output}", seconds)


def first_output(one: Up) -> Path:
    """What the first start in the home said; `one.output` is the newest one's."""
    return one.output.with_suffix(".first")


def get(one: Up, path: str) -> tuple[int, bytes]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{one.port}{path}", headers={"Host": f"{CONSOLE_HOST}:{one.port}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def leader(one: Up, text: str) -> int:
    found = [p for p in of_home(one.home.path) if text in Path(f"/proc/{p}/cmdline").read_text().replace("\0", " ")]
    return min(found, default=0)


def share_of_the_machine() -> float:
    """1 on a quiet machine; how many times slower it is when others compute on it too."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def test_every_process_is_well_and_healthz_says_so(running: Up) -> None:
    until(lambda: get(running, "/healthz")[0] == 200, "healthz")
    assert {name: c["state"] for name, c in running.components().items()} == dict.fromkeys(PLATFORM, "ok")


def test_one_inner_page_tells_the_numbers_of_all_and_the_public_one_none(running: Up) -> None:
    address = f"http://127.0.0.1:{running.home.ports.metrics}/metrics"
    with urllib.request.urlopen(address, timeout=30) as answer:
        text = answer.read().decode()
    assert 'freehold_process_state{process="worker",state="ok"} 1' in text
    assert "freehold_database_up 1.0" in text
    assert 'haproxy_frontend_status{proxy="inner"' in text
    assert get(running, "/metrics")[0] == 404


def test_the_operators_account_is_shown_once_in_a_frame(running: Up) -> None:
    text = first_output(running).read_text()
    assert text.count("operator@freehold.localhost") == 1
    assert re.search(r"│   password  \S{16} ", text)


def test_a_token_for_a_person_is_printed_by_a_command_that_finds_the_home(running: Up) -> None:
    env = {"PATH": os.environ["PATH"], "FREEHOLD_HOME": str(running.home.path)}
    command = (sys.executable, "manage.py", "token", "operator@freehold.localhost")
    done = subprocess.run(command, cwd=SOURCE, env=env, capture_output=True, text=True, check=True)
    assert re.fullmatch(r"fh_[a-z0-9]+_\S+\n", done.stdout)
    unknown = subprocess.run((*command[:-1], "nobody@example.org"), cwd=SOURCE, env=env, capture_output=True, text=True)
    assert unknown.returncode == 1
    assert "Nobody has the address nobody@example.org." in unknown.stderr


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE tenants_event SET reason = 'other'",
        "DELETE FROM tenants_event",
        "TRUNCATE tenants_event",
        "ALTER TABLE tenants_event DISABLE TRIGGER event_append_only",
        "DROP TRIGGER event_append_only ON tenants_event",
        "SET session_replication_role = 'replica'",
        "SET ROLE freehold_owner",
    ],
)
def test_the_role_that_the_processes_use_may_not_change_what_happened(running: Up, change: str) -> None:
    environment = Path(f"/proc/{leader(running, 'provider.wsgi')}/environ").read_bytes().split(b"\0")
    url = next(line.partition(b"=")[2].decode() for line in environment if line.startswith(b"DATABASE_URL="))
    with psycopg.connect(url, autocommit=True) as connection:
        before = connection.execute("SELECT count(*) FROM tenants_event").fetchone()
        with pytest.raises(psycopg.Error, match="permission denied|must be owner"):
            connection.execute(change.encode())
        assert connection.execute("SELECT count(*) FROM tenants_event").fetchone() == before != (0,)


def test_https_is_trusted_by_whoever_trusts_the_certificate_authority(running: Up) -> None:
    trust = ssl.create_default_context(cafile=str(running.home.path / "ca.pem"))
    with (
        socket.create_connection(("127.0.0.1", running.tls_port)) as plain,
        trust.wrap_socket(plain, server_hostname=CONSOLE_HOST) as secure,
    ):
        assert secure.version() in ("TLSv1.2", "TLSv1.3")


def test_secrets_are_private_and_not_in_the_logs(running: Up) -> None:
    home = running.home.path
    assert home.stat().st_mode & 0o777 == 0o700
    assert all((home / name).stat().st_mode & 0o777 == 0o600 for name in ("secrets.env", "ca.key", "gate.pem"))
    secrets = [line.partition("=")[2] for line in (home / "secrets.env").read_text().splitlines()]
    outputs = (*(home / "log").iterdir(), running.output, first_output(running))
    logs = "".join(output.read_text() for output in outputs)
    assert not [secret for secret in secrets if secret in logs]


@pytest.mark.parametrize("text", ["provider.wsgi", "celery -A provider.celery worker", "provider.live"])
def test_a_killed_process_is_back_soon_and_nothing_else_moved(running: Up, text: str) -> None:
    untouched = leader(running, "redis-server"), leader(running, "k8s.local.agent")
    assert all(untouched)
    killed = leader(running, text)
    assert killed
    os.kill(killed, signal.SIGKILL)
    until(lambda: leader(running, text) not in (0, killed), f"{text} started again")
    until(lambda: get(running, "/healthz")[0] == 200, "healthy again")
    assert untouched == (leader(running, "redis-server"), leader(running, "k8s.local.agent"))


def test_a_second_up_of_the_same_home_is_refused(running: Up) -> None:
    refused = running.run()
    assert refused.returncode == 1
    assert "already runs in" in refused.stderr


def test_stops_leave_nothing_and_later_starts_are_quick_even_after_the_supervisor_was_killed(running: Up) -> None:
    for end in (signal.SIGINT, signal.SIGKILL):
        assert running.stop(end) == (0 if end is signal.SIGINT else -end)
        if end is signal.SIGINT:
            assert of_home(running.home.path) == []
            assert traces.of(running.home.path) == []
        began = time.monotonic()
        ready(running.start(), 60)
        assert time.monotonic() - began < 15 * share_of_the_machine()
        assert "password" not in running.output.read_text()
