"""`manage.py up` where it cannot start: one sentence, exit code 1, nothing started."""

import os
import socket
from pathlib import Path

import pytest

from provider.up import home, machine
from provider.up.complaint import Complaint
from tests.up.running import of_home, up


def test_a_busy_port_is_named_with_who_holds_it_and_what_to_do(tmp_path: Path) -> None:
    with up(tmp_path / "home") as one, socket.create_server(("127.0.0.1", one.port)):
        refused = one.run()
        assert refused.returncode == 1
        assert f"Port {one.port} is taken by" in refused.stderr
        assert f"(process {os.getpid()})" in refused.stderr
        assert "--port" in refused.stderr
        assert refused.stderr.count("\n") == 1
        assert of_home(one.home.path) == []


def test_a_home_in_use_is_named_with_the_process_that_uses_it(tmp_path: Path) -> None:
    with up(tmp_path / "home") as one:
        place = home.prepare(one.home.path)
        descriptor = home.lock(place)
        refused = one.run()
        os.close(descriptor)
        assert refused.returncode == 1
        assert refused.stderr == (
            f"freehold: Freehold already runs in {place.path} (process {os.getpid()}): "
            "stop it, or choose another folder with --home.\n"
        )


def test_a_home_that_is_a_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Complaint, match="Cannot write to .*--home"):
        home.prepare(tmp_path / "file")


def test_missing_programs_are_named_by_their_debian_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.shutil, "which", lambda tool: None if tool in ("bwrap", "haproxy") else tool)
    with pytest.raises(Complaint, match="apt-get install bubblewrap haproxy"):
        machine.check_tools()


def test_a_nearly_full_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home, "NEEDED_BYTES", 2**62)
    with pytest.raises(Complaint, match="MiB are free at"):
        home.prepare(tmp_path / "home")


def test_lost_secrets_are_never_made_anew_over_existing_data(tmp_path: Path) -> None:
    with up(tmp_path / "home") as one:
        (one.home.path / "pg").mkdir()
        refused = one.run()
        assert refused.returncode == 1
        assert "secrets.env is gone" in refused.stderr
