"""`freehold exec` and `dev` reach the data of the project's own copy."""

import json
import stat
from pathlib import Path

import certifi
import pytest

from tests.cli.conftest import FlakyProvider, Freehold

SPACEFILE = (
    "v: 0\nmicros: [{name: main, src: ., engine: python3.9, dev: 'sh -c \"echo key $DETA_PROJECT_KEY; exit 1\"'}]\n"
)
BEGIN, END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
CERTIFICATE = f"{BEGIN}{Path(certifi.where()).read_text().split(BEGIN)[1].split(END)[0]}{END}\n"
SHOW = ("exec", "--", "sh", "-c", "echo $DETA_PROJECT_KEY $DETA_BASE_HOST $DETA_DRIVE_HOST; cat $SSL_CERT_FILE")


@pytest.fixture(autouse=True)
def _no_key_in_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DETA_PROJECT_KEY", raising=False)


@pytest.fixture
def pushed(provider: FlakyProvider, tmp_path: Path) -> FlakyProvider:
    """A folder that was pushed once, and a provider that gives keys."""
    (tmp_path / "Spacefile").write_text(SPACEFILE)
    (tmp_path / ".space").mkdir()
    meta = {"id": "herons-x", "name": "Herons", "alias": "herons-x", "url": provider.url}
    (tmp_path / ".space" / "meta").write_text(json.dumps(meta))
    rows = [
        {"id": "col1", "instance": None, "data_host": "elsewhere"},
        {"id": "col2", "instance": "ins1", "project_id": "p", "data_host": "data.localhost:1"},
    ]
    provider.on("GET projects/herons-x/", (200, {"builder_instance": "ins1"}))
    provider.on("GET instances/ins1/", (200, {"id": "ins1", "alias": "herons-dev"}))
    provider.on("GET collections/", (200, {"results": rows, "next": None}))
    provider.on("POST collections/col2/keys/", *((201, {"id": f"key{n}", "key": f"p_secret{n}"}) for n in (1, 2)))
    provider.on("GET collections/col2/keys/", (200, {"results": [{"id": "key1"}], "next": None}))
    provider.on("GET /ca.pem", (200, CERTIFICATE))
    return provider


def made(provider: FlakyProvider) -> list[dict[str, str]]:
    return [json.loads(asked.body) for asked in provider.asked if asked.method == "POST"]


def test_exec_gives_the_key_the_host_and_the_providers_certificate(
    pushed: FlakyProvider, freehold: Freehold, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine.pem"
    mine.write_text(Path(certifi.where()).read_text() + "# what this machine trusts")
    monkeypatch.setenv("SSL_CERT_FILE", str(mine))
    done = freehold(*SHOW)
    first, *trusted = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert first == "p_secret1 data.localhost:1 data.localhost:1"
    assert "\n".join(trusted).endswith(f"# what this machine trusts\n{CERTIFICATE}".rstrip())
    assert [body["name"].startswith("freehold on ") for body in made(pushed)] == [True]


def test_the_key_is_kept_for_its_owner_alone_until_it_is_revoked(
    pushed: FlakyProvider, freehold: Freehold, tmp_path: Path
) -> None:
    assert [freehold(*SHOW).stdout.split()[0] for _ in range(2)] == ["p_secret1"] * 2
    assert len(made(pushed)) == 1
    kept = tmp_path / "config" / "freehold" / "data-keys.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600 and stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    pushed.on("GET collections/col2/keys/", (200, {"results": [], "next": None}))
    assert freehold(*SHOW).stdout.split()[0] == "p_secret2"


def test_dev_gives_the_key_to_the_micros(pushed: FlakyProvider, freehold: Freehold) -> None:
    assert "[main] key p_secret1" in freehold("dev").stdout


def test_a_key_of_the_shells_is_left_alone(
    pushed: FlakyProvider, freehold: Freehold, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETA_PROJECT_KEY", "p_mine")
    assert freehold("exec", "--", "sh", "-c", "echo $DETA_PROJECT_KEY$DETA_BASE_HOST").stdout == "p_mine\n"
    assert pushed.asked == []


@pytest.mark.parametrize("missing", ["meta", "sign-in", "copy", "provider"])
def test_without_data_the_command_runs_and_says_why(
    pushed: FlakyProvider, freehold: Freehold, tmp_path: Path, missing: str
) -> None:
    if missing == "meta":
        (tmp_path / ".space" / "meta").unlink()
    elif missing == "copy":
        pushed.on("GET projects/herons-x/", (200, {"builder_instance": None}))
    elif missing == "provider":
        pushed.on("GET projects/herons-x/", (404, {"error": {"code": "not_found", "message": "gone"}}))
    done = freehold("exec", "--", "sh", "-c", "echo ran $DETA_PROJECT_KEY", token="" if missing == "sign-in" else "t")
    assert (done.returncode, done.stdout) == (0, "ran\n")
    said = {"meta": "freehold push", "sign-in": "freehold login", "copy": "freehold push", "provider": "gone"}
    assert done.stderr.startswith("Without data: ") and said[missing] in done.stderr


def test_a_certificate_that_came_over_an_open_network_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    from provider.cli import data_access
    from provider.cli.api import Api

    monkeypatch.setattr(Api, "authority", lambda self: pytest.fail("asked"))
    assert data_access._trust(Api("http://freehold.example", None)) == {}
