"""Ports for servers under test."""

import random
import socket


def free_port() -> int:
    """Below the range from which the kernel takes outgoing connections' ports: those come between asking and listening."""
    while True:
        port = random.randrange(24_000, 32_000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
