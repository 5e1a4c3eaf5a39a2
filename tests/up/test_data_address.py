"""Which address for data apps are told, and which one programs outside of them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ASK = (
    "import json; from provider import settings as s; "
    "print(json.dumps([s.DATA_SERVERS, s.DATA_HOST, s.OUTSIDE_DATA_HOST]))"
)


@pytest.mark.parametrize(
    ("cluster", "host", "expected"),
    [
        ("local:///x", "", [True, "localhost:9443", "localhost:9443"]),
        ("kubernetes:///x", "", [False, "localhost:9443", "localhost:9443"]),
        ("kubernetes:///x", "data.apps.example", [True, "data.apps.example", "data.apps.example"]),
        ("kubernetes:///x", "database.deta.sh:9443", [True, "database.deta.sh:9443", "localhost:9443"]),
    ],
)
def test_a_key_is_never_sent_to_a_name_that_is_ours_in_pods_alone(
    cluster: str, host: str, expected: list[object]
) -> None:
    given = {"FREEHOLD_DEBUG": "true", "DATABASE_URL": "postgresql://nobody@localhost/none", "CLUSTER_URL": cluster}
    given |= {"FREEHOLD_DATA_HOST": host, "FREEHOLD_TLS_PORT": "9443"}
    done = subprocess.run((sys.executable, "-c", ASK), cwd=ROOT, env=given, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == expected
