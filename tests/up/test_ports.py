"""Which inner ports a home takes."""

import socket
from pathlib import Path

from provider.up import ports


def test_a_home_keeps_its_ports_and_moves_on_from_those_of_strangers(tmp_path: Path) -> None:
    ports.choose(tmp_path)
    first = ports.inner_ports(tmp_path)
    ports.choose(tmp_path)
    assert ports.inner_ports(tmp_path) == first
    with socket.create_server(("127.0.0.1", first.metrics)):
        ports.choose(tmp_path)
        moved = ports.inner_ports(tmp_path)
        assert not set(vars(moved).values()) & set(vars(first).values())
    ports.choose(tmp_path)
    assert ports.inner_ports(tmp_path) == moved
