"""Finds free ports of this machine for programs that we start."""

import socket


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port of this host that is free now. Raises OSError when there is no such host."""
    family, _, _, _, where = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind(where)
        return int(probe.getsockname()[1])
