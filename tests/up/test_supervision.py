"""The supervisor and processes that crash, fork, ignore signals or survive it."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from provider.up.child import Identity, identify, stat_fields
from tests.up.running import Up, of_home, until, up


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Up]:
    with up(tmp_path / "home", ("-m", "tests.up.few_processes")) as one:
        one.start()
        one.wait_for("steady", "deaf", "nameless", "forking", "keeping")
        yield one


def pid_of(one: Up, text: str) -> int:
    """The oldest process of this home whose command line holds `text`."""
    found = [p for p in of_home(one.home.path) if text in Path(f"/proc/{p}/cmdline").read_text().replace("\0", " ")]
    return min(found, key=lambda p: int(stat_fields(p)[19]), default=0)


def test_a_stop_leaves_no_process_though_some_detach_or_ignore_signals(small: Up) -> None:
    assert of_home(small.home.path)
    assert small.stop() == 0
    assert of_home(small.home.path) == []


def test_ctrl_c_stops_as_well_and_a_second_one_hurries(small: Up) -> None:
    assert small.process
    small.process.send_signal(signal.SIGINT)
    until(lambda: "Stopping (once more" in small.output.read_text(), "the first one was heard")
    assert small.stop(signal.SIGINT) == 0
    assert of_home(small.home.path) == []
    assert "Stopping at once" in small.output.read_text()


def test_a_process_that_keeps_crashing_is_failing_and_takes_nobody_with_it(small: Up) -> None:
    small.wait_for("crashing", state="failing")
    assert small.components()["crashing"]["detail"] == "ended with code 3"
    assert "what went wrong" in (small.home.path / "log" / "crashing.log").read_text()
    assert small.state("steady") == "ok"


def test_a_killed_process_is_started_again_and_what_it_forked_is_cleared(small: Up) -> None:
    leader = pid_of(small, "os.fork()")
    (small.home.path / "forking").unlink()
    os.kill(leader, signal.SIGKILL)
    until(lambda: (small.home.path / "forking").exists(), "forking started again")
    small.wait_for("forking")
    assert len([p for p in of_home(small.home.path) if b"os.fork()" in Path(f"/proc/{p}/cmdline").read_bytes()]) == 2


def test_children_that_are_meant_to_outlive_their_parent_do(small: Up) -> None:
    (small.home.path / "keeping").unlink()
    os.kill(pid_of(small, "start_new_session"), signal.SIGKILL)
    small.wait_for("keeping")
    assert (
        len([p for p in of_home(small.home.path) if Path(f"/proc/{p}/cmdline").read_bytes() == b"sleep\x003600\0"]) == 3
    )


def test_after_the_supervisor_was_killed_its_processes_end_and_the_next_one_clears_what_is_left(small: Up) -> None:
    deaf = pid_of(small, "trap")
    before = [Identity(pid, start) for pid, start, _ in json.loads((small.home.run / "processes.json").read_text())]
    assert len(before) >= 5
    assert small.stop(signal.SIGKILL) == -signal.SIGKILL
    until(lambda: pid_of(small, "os.fork()") == 0 or pid_of(small, "trap") == deaf, "death signals are out")
    small.start()
    small.wait_for("steady", "deaf", "forking")
    assert pid_of(small, "trap") not in (0, deaf)
    assert not [process for process in before if identify(process.pid) == process]
    assert small.stop() == 0
