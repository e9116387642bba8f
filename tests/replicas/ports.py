"""Ports that stay free while nobody listens on them."""

import random
import socket


def free_port() -> int:
    """A loopback port below those that outgoing connections take: a server killed on it can have it again."""
    while True:
        port = random.randrange(20_000, 32_000)
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue
