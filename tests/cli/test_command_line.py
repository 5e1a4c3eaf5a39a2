"""What `freehold` shows, keeps and repeats, against a provider that answers as each test says."""

import json
import stat
from pathlib import Path

from tests.cli.conftest import FlakyProvider, Freehold

CLOUD = {
    "handle": "ada",
    "namespace": "fh-ada",
    "state": "active",
    "plan": "household",
    "quota": {"cpu_millis": 20000, "memory_mib": 20480, "storage_mib": 20480, "instances": 100},
    "usage": {"cpu_millis": 0, "memory_mib": 0, "storage_mib": 0, "instances": 0},
}
NOTES = {
    "id": "insabc",
    "app": "notes",
    "alias": "notes",
    "host": "localhost-notes-abc.apps.localhost",
    "url": "http://localhost-notes-abc.apps.localhost/",
    "state": "running",
    "version": "1.0.0",
}
DONE = {
    "id": "opnabc",
    "kind": "install",
    "state": "succeeded",
    "error": "",
    "steps": [
        {
            "name": "start",
            "title": "Start it",
            "state": "succeeded",
            "started_at": "2024-05-01T10:00:00Z",
            "finished_at": "2024-05-01T10:00:00.500Z",
            "detail": "",
        }
    ],
}


def test_signing_in_keeps_the_token_where_nobody_else_reads_it(
    provider: FlakyProvider, freehold: Freehold, tmp_path: Path
) -> None:
    provider.on("POST tokens/", (201, {"token": "fh_a_b"}))
    provider.on("GET cloud/", (200, CLOUD))
    done = freehold("login", "--email", "ada@example.org", "--password-stdin", given="secret words\n", token="")
    assert done.returncode == 0, done.stderr
    kept = tmp_path / "config" / "freehold" / "config.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert json.loads(kept.read_text())["sign_ins"][provider.url]["token"] == "fh_a_b"
    assert "fh_a_b" not in done.stdout + done.stderr
    assert json.loads(provider.asked[0].body)["password"] == "secret words"
    assert freehold("status", token="").returncode == 0
    assert provider.asked[-1].headers["Authorization"] == "Bearer fh_a_b"


def test_a_token_that_is_not_accepted_is_not_kept(provider: FlakyProvider, freehold: Freehold, tmp_path: Path) -> None:
    provider.on("GET cloud/", (401, {"error": {"code": "not_authenticated", "message": "No."}}))
    assert freehold("login", "--token", "-", given="wrong\n", token="").returncode == 3
    assert not (tmp_path / "config" / "freehold" / "config.json").exists()


def test_signed_out_is_exit_code_three(freehold: Freehold) -> None:
    done = freehold("instances", "--json", token="")
    assert done.returncode == 3
    assert json.loads(done.stdout)["error"]["code"] == "not_signed_in"


def test_a_wrong_call_is_exit_code_two_with_a_document(freehold: Freehold) -> None:
    for words in (("install", "--json"), ("logs", "notes", "--follow", "--json"), ("push", "--json", "--dir", "none")):
        done = freehold(*words)
        assert done.returncode == 2, done.stdout
        assert json.loads(done.stdout)["error"]["code"] == "usage"


def test_an_error_names_its_field(provider: FlakyProvider, freehold: Freehold) -> None:
    error = {"code": "invalid_alias", "message": "No spaces.", "field": "alias", "detail": {}}
    provider.on("POST instances/", (422, {"error": error}))
    done = freehold("install", "notes", "--alias", "a b")
    assert done.returncode == 1
    assert "(alias): No spaces." in done.stderr
    assert json.loads(freehold("install", "notes", "--alias", "a b", "--json").stdout)["error"] == error


def test_a_lost_answer_is_asked_for_again_under_the_same_key(provider: FlakyProvider, freehold: Freehold) -> None:
    provider.on("POST instances/", None, (503, {}), (202, {"id": "insabc", "operation": "opnabc"}))
    provider.on("GET operations/opnabc/", (200, DONE))
    provider.on("GET instances/insabc/", (200, NOTES))
    done = freehold("install", "notes", "--json")
    assert done.returncode == 0, done.stdout
    keys = [asked.headers["Idempotency-Key"] for asked in provider.asked if asked.method == "POST"]
    assert len(keys) == 3
    assert len(set(keys)) == 1


def test_two_installs_have_two_keys(provider: FlakyProvider, freehold: Freehold) -> None:
    provider.on("POST instances/", (422, {"error": {"code": "quota_exceeded", "message": "Full."}}))
    freehold("install", "notes")
    freehold("install", "notes")
    assert len({asked.headers["Idempotency-Key"] for asked in provider.asked}) == 2


def test_waiting_polls_where_there_is_no_stream(provider: FlakyProvider, freehold: Freehold) -> None:
    provider.on("POST instances/", (202, {"id": "insabc", "operation": "opnabc"}))
    provider.on("GET operations/opnabc/", (200, DONE | {"state": "running", "steps": []}), (200, DONE))
    provider.on("GET operations/opnabc/events/", (404, {}))
    provider.on("GET instances/insabc/", (200, NOTES))
    done = freehold("install", "notes")
    assert done.returncode == 0, done.stderr
    assert "✓ Start it (0.5 s)" in done.stdout
    assert NOTES["url"] in done.stdout


def test_waiting_follows_the_stream(provider: FlakyProvider, freehold: Freehold) -> None:
    provider.on("POST instances/", (202, {"id": "insabc", "operation": "opnabc"}))
    provider.on("GET operations/opnabc/", (200, DONE | {"state": "running", "steps": []}), (200, DONE))
    stream = f": hello\n\nevent: operation\ndata: {json.dumps(DONE)}\n\nevent: end\ndata: {{}}\n\n"
    provider.on("GET operations/opnabc/events/", (200, stream))
    provider.on("GET instances/insabc/", (200, NOTES))
    done = freehold("install", "notes")
    assert done.stdout.count("✓ Start it") == 1


def test_a_failed_operation_is_a_failed_command_that_says_why(provider: FlakyProvider, freehold: Freehold) -> None:
    provider.on("POST instances/", (202, {"id": "insabc", "operation": "opnabc"}))
    provider.on("GET operations/opnabc/", (200, DONE | {"state": "failed", "error": "It never listened."}))
    done = freehold("install", "notes")
    assert done.returncode == 1
    assert "It never listened." in done.stderr
    assert "freehold logs insabc" in done.stderr


def test_instances_are_listed_over_all_pages(provider: FlakyProvider, freehold: Freehold) -> None:
    elsewhere = "http://evil.example/api/v1/instances/?page=2"
    second = NOTES | {"id": "insdef", "alias": "other"}
    provider.on("GET instances/", (200, {"results": [NOTES], "next": elsewhere}), (200, {"results": [second]}))
    ids = [row["id"] for row in json.loads(freehold("instances", "--json").stdout)["results"]]
    assert ids == ["insabc", "insdef"]
    assert provider.asked[-1].path.endswith("?page=2")


def test_an_alias_that_two_share_must_be_said_by_id(provider: FlakyProvider, freehold: Freehold) -> None:
    provider.on("GET instances/", (200, {"results": [NOTES, NOTES | {"id": "insdef"}], "next": None}))
    done = freehold("uninstall", "notes")
    assert done.returncode == 1
    assert "insabc, insdef" in done.stderr


def test_data_is_not_deleted_without_being_asked(provider: FlakyProvider, freehold: Freehold) -> None:
    provider.on("GET instances/", (200, {"results": [NOTES], "next": None}))
    assert freehold("uninstall", "notes", "--delete-data").returncode == 2
    assert not [asked for asked in provider.asked if asked.method == "DELETE"]


def test_what_an_app_logs_cannot_repaint_the_terminal(provider: FlakyProvider, freehold: Freehold) -> None:
    provider.on("GET instances/", (200, {"results": [NOTES], "next": None}))
    provider.on("GET instances/insabc/logs/", (200, "data: \x1b[2J[red]hello\n\nevent: end\ndata: \n\n"))
    done = freehold("logs", "-f", "notes")
    assert done.stdout == "[2J[red]hello\n"


def test_a_provider_that_is_not_there_is_said_in_one_sentence(freehold: Freehold) -> None:
    done = freehold("instances", "--url", "http://freehold.localhost:9")
    assert done.returncode == 1
    assert "Is Freehold running there?" in done.stderr
    assert "Traceback" not in done.stderr
