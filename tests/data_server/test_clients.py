"""The clients that apps use, unchanged, over https with the internal CA: npm `deta`, our Python module, curl."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from provider.up import authority
from tests.data_server.running import Data, open_collection, running

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
MODULES = ROOT / "k8s" / "runtimes" / "python"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("home")
    authority.ensure(found, ("localhost",))
    return found


@pytest.fixture(scope="module")
def data(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Data]:
    certificate = home / "gate.pem"
    with running(tmp_path_factory.mktemp("data") / "server", (certificate, certificate)) as server:
        yield open_collection(server)


@pytest.fixture
def environment(data: Data, home: Path) -> dict[str, str]:
    """What a sandbox gets."""
    host = f"localhost:{data.server.port}"
    trust = {
        "SSL_CERT_FILE": home / "ca.pem",
        "NODE_EXTRA_CA_CERTS": home / "ca.pem",
        "CURL_CA_BUNDLE": home / "ca.pem",
    }
    deta = {"DETA_PROJECT_KEY": data.key, "DETA_BASE_HOST": host, "DETA_DRIVE_HOST": host}
    return {"PATH": os.environ["PATH"]} | {name: str(file) for name, file in trust.items()} | deta


def run(environment: dict[str, str], *command: str | Path) -> str:
    done = subprocess.run(
        list(map(str, command)), cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_npm_deta_works_unchanged(environment: dict[str, str]) -> None:
    assert (ROOT / "node_modules" / "deta").is_dir(), "run .ci/bootstrap dev browser"
    assert run(environment, "node", HERE / "clients" / "round_trip.mjs") == "done\n"


def test_the_python_module_keeps_what_the_sdk_promised(environment: dict[str, str], tmp_path: Path) -> None:
    environment["PYTHONPATH"] = str(MODULES)
    assert run(environment, sys.executable, HERE / "clients" / "round_trip.py", tmp_path) == "done\n"


@pytest.mark.parametrize(
    ("key", "complaint"), [("", "No project key defined"), ("nounderscore", "Bad project key provided"), ("_x", "Bad")]
)
def test_the_python_module_says_what_is_wrong_with_a_key(tmp_path: Path, key: str, complaint: str) -> None:
    """Without aiohttp there is no AsyncBase, and the rest works."""
    code = "import deta; assert not hasattr(deta, 'AsyncBase'); deta.Deta()"
    environment = {"PYTHONPATH": str(MODULES), "DETA_PROJECT_KEY": key}
    done = subprocess.run(["/usr/bin/python3", "-S", "-c", code], env=environment, capture_output=True, text=True)
    assert complaint in done.stderr


def test_curl_gets_what_it_stored(environment: dict[str, str], data: Data, tmp_path: Path) -> None:
    root = f"https://localhost:{data.server.port}/v1/{data.project_id}"
    common = ("curl", "-sS", "--fail-with-body", "-H", f"X-API-Key: {data.key}")
    stored = run(environment, *common, "-X", "PUT", f"{root}/curl/items", "-d", '{"items":[{"key":"a b","n":1}]}')
    assert stored == '{"processed":{"items":[{"key":"a b","n":1}]}}'
    assert run(environment, *common, f"{root}/curl/items/a%20b") == '{"key":"a b","n":1}'
    (tmp_path / "file").write_bytes(content := os.urandom(3_000_000))
    run(
        environment,
        *common,
        "-H",
        "Content-Type: image/x-test",
        "--data-binary",
        f"@{tmp_path}/file",
        f"{root}/curl/files?name=x%2Fy",
    )
    run(environment, *common, "-o", tmp_path / "back", f"{root}/curl/files/download?name=x/y")
    assert (tmp_path / "back").read_bytes() == content


def test_without_the_ca_nobody_is_trusted(environment: dict[str, str], data: Data) -> None:
    del environment["CURL_CA_BUNDLE"], environment["SSL_CERT_FILE"]
    done = subprocess.run(
        ["curl", "-sS", data.server.url.replace("127.0.0.1", "localhost")], env=environment, capture_output=True
    )
    assert done.returncode == 60
