"""What a pod's readiness probe asks of the gate in it."""

import subprocess
import sys

from tests.contract.lanes import ROOT
from tests.gate.conftest import Gate, wait_until

COMMAND = (sys.executable, "-m", "provider.gate.ready")


def test_a_gate_is_ready_once_its_maps_are_loaded_and_not_before(gate: Gate) -> None:
    def probe() -> int:
        return subprocess.run(COMMAND, env=gate.env, cwd=ROOT, capture_output=True).returncode

    def answers() -> bool:
        try:
            return gate.http.ask("nobody.example").status > 0
        except OSError:
            return False

    assert probe() == 0
    gate.stop("agent")
    gate.stop("proxy")
    assert probe() == 1  # nobody there
    gate.start("proxy")
    wait_until(answers, "the proxy listens")
    assert probe() == 1  # it answers, and knows no host yet
    gate.start("agent")
    wait_until(lambda: probe() == 0, "the maps are loaded")
