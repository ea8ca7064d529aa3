"""Ports of this machine for programs that we start ourselves."""

import socket


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port of this host that nobody listens on just now. Raises OSError where there is no such host."""
    family, _, _, _, where = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind(where)
        return int(probe.getsockname()[1])
