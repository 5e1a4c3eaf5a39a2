"""The launcher's part that only pods need, run as it runs there but for the container around it."""

import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from k8s.runtimes.launcher import relay
from k8s.runtimes.launcher.pod import _without_ours
from k8s.runtimes.launcher.trust import trusting

ROOT = Path(__file__).resolve().parents[2]
KEEP = """
import os, sys
from pathlib import Path
from k8s.runtimes.launcher import keeping
keeping.TERMINATION_LOG = Path(sys.argv[1])
outcome = keeping.Outcome()
timeout_s = float(sys.argv[3]) if len(sys.argv) > 3 else None
code = keeping.keep(("/bin/sh", "-c", sys.argv[2]), dict(os.environ), outcome, drain_s=0.2, timeout_s=timeout_s)
sys.exit(outcome.end(outcome.describe(code, "64"), code))
"""


def keep(log: Path, command: str, *more: str) -> "subprocess.Popen[bytes]":
    argv = (sys.executable, "-c", textwrap.dedent(KEEP), str(log), command, *more)
    return subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE)


def ended(process: "subprocess.Popen[bytes]") -> tuple[int, list[bytes]]:
    out, _ = process.communicate(timeout=20)
    return process.returncode, out.splitlines()


def runs(pid: int) -> bool:
    """Not gone, and not waiting for this machine's first process to take note of its end."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_output_and_errors_are_told_apart_in_one_stream(tmp_path: Path) -> None:
    code, lines = ended(keep(tmp_path / "log", "echo said; echo complained >&2; printf unfinished"))
    assert code == 0
    assert sorted(lines) == [b"e complained", b"o said", b"o unfinished", b"s exited with code 0"]


def test_the_way_it_ended_and_its_last_words_are_left_for_the_cluster(tmp_path: Path) -> None:
    code, _ = ended(keep(tmp_path / "log", "echo no settings file; exit 3"))
    assert code == 3
    assert (tmp_path / "log").read_text() == "exited with code 3\nno settings file"


def test_a_line_of_any_length_arrives_in_pieces_that_no_runtime_cuts(tmp_path: Path) -> None:
    _, lines = ended(keep(tmp_path / "log", "head -c 40000 /dev/zero | tr '\\0' x; echo"))
    parts = [line[2:] for line in lines if line.startswith(b"o ")]
    assert b"".join(parts) == b"x" * 40_000
    assert max(map(len, parts)) < 16_000


@pytest.mark.parametrize(("command", "code"), [("sleep 60", 143), ("trap 'exit 5' TERM; sleep 60 & wait", 5)])
def test_being_asked_to_end_reaches_the_app(tmp_path: Path, command: str, code: int) -> None:
    process = keep(tmp_path / "log", f"echo up; {command}")
    assert process.stdout is not None
    assert process.stdout.readline() == b"o up\n"
    asked = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == code
    assert time.monotonic() - asked >= 0.2  # others may still send requests for so long


@pytest.mark.parametrize("program", ["pod.py", "build_job.py"])
def test_being_asked_to_end_is_heard_before_anything_is_imported(tmp_path: Path, program: str) -> None:
    """Process 1 of a container does not hear TERM without a handler, and imports take long where processors are few."""
    launcher = shutil.copytree(ROOT / "k8s/runtimes/launcher", tmp_path / "launcher")
    (launcher / "fetch.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(60)\n")
    shutil.copytree(ROOT / "k8s", tmp_path / "k8s", ignore=shutil.ignore_patterns("runtimes", "__pycache__"))
    process = subprocess.Popen((sys.executable, "-I", "-S", launcher / program), stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"importing\n"
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == 143


def test_a_pod_that_wakes_imports_nothing_dear() -> None:
    """Whoever waits for it waits five times as long for each where the app may have a fifth of a core."""
    program = "import sys; sys.path[:0] = sys.argv[1:]; import launcher.pod; print(*sys.modules)"
    argv = ("/usr/bin/python3", "-I", "-S", "-c", program, ROOT / "k8s/runtimes", ROOT)
    imported = set(subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split())
    assert "k8s.local.artifacts" in imported
    assert not imported & {"dataclasses", "email", "gzip", "http.client", "ssl", "typing", "urllib.request", "zipfile"}


def test_an_app_that_listens_on_loopback_alone_is_reached_from_outside() -> None:
    """Its port is not taken on any other address before."""
    with socket.create_server(("127.0.0.1", 0)) as app:
        port = app.getsockname()[1]
        own = relay._own_addresses()[0]
        listening = relay.Listening(port)
        assert listening.look()
        with socket.create_connection((own, port), 5) as visitor:
            visitor.sendall(b"hello")
            visitor.shutdown(socket.SHUT_WR)
            assert any(_read(app) == b"hello" for _ in range(3))  # who looked came first, and said nothing
    assert not relay.Listening(port - 1 if port % 2 else port + 1).look()


def _read(app: socket.socket) -> bytes:
    app.settimeout(5)
    link, _ = app.accept()
    with link:
        return link.recv(100)


def test_what_does_not_listen_yet_is_ended_without_waiting_for_requests(tmp_path: Path) -> None:
    waits = KEEP.replace("drain_s=0.2", "drain_s=30, on_wait=lambda: False")
    argv = (sys.executable, "-c", textwrap.dedent(waits), str(tmp_path / "log"), "echo up; sleep 60")
    process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"o up\n"
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == 143


def test_an_app_over_its_time_is_ended_with_all_it_started(tmp_path: Path) -> None:
    code, lines = ended(keep(tmp_path / "log", "sleep 60 & echo $!; wait", "0.5"))
    assert code == 124
    child = int(lines[0].removeprefix(b"o "))
    deadline = time.monotonic() + 10
    while runs(child):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_an_app_leaves_behind_does_not_hold_its_end_up(tmp_path: Path) -> None:
    began = time.monotonic()
    code, _ = ended(keep(tmp_path / "log", "sleep 3 & exit 4"))
    assert code == 4
    assert time.monotonic() - began < 10


def test_apps_trust_the_public_certificates_and_the_cells_in_one_file(tmp_path: Path) -> None:
    public = tmp_path / "public.crt"
    public.write_text("PUBLIC")
    found = trusting("OURS", tmp_path, public)
    names = {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "CURL_CA_BUNDLE"}
    assert found == dict.fromkeys(names, str(tmp_path / "trusted.pem"))
    assert (tmp_path / "trusted.pem").read_text().split() == ["PUBLIC", "OURS"]
    assert trusting("", tmp_path / "not there", public) == {}


def test_what_is_the_launchers_own_is_kept_from_the_app_and_nothing_else() -> None:
    theirs = {"TRUSTED": "theirs", "BUNDLE_URL": "theirs", "FREEHOLD_OTHER": "theirs"}
    ours = dict.fromkeys(("FREEHOLD_TRUSTED", "FREEHOLD_BUNDLE_TOKEN", "FREEHOLD_MEMORY_MIB"), "ours")
    assert _without_ours(theirs | ours) == theirs
