"""Ports for servers that must come back on the same address after a kill."""

import random
import socket

# Below the range from which the kernel takes source ports: no other process gets the port of a killed server.
_LOWEST, _HIGHEST = 20_000, 32_000


def free_port() -> int:
    """Return a port on which nothing listens, outside the ephemeral range."""
    generator = random.SystemRandom()
    for _ in range(200):
        port = generator.randrange(_LOWEST, _HIGHEST)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue  # in use: try another one
            return port
    raise AssertionError(f"no free port between {_LOWEST} and {_HIGHEST}")


def free_ports(count: int) -> list[int]:
    """Return different free ports: none of them is taken before all are known."""
    found: set[int] = set()
    while len(found) < count:
        found.add(free_port())
    return list(found)
