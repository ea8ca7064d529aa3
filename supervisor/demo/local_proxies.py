"""The demo's proxies: real ones on this machine, each with a user and a password, which can fail and recover."""

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

from core.errors import TransientError
from core.process.parent_guard import guarded_command
from core.process.procfs import free_port

_START_WITHIN = 15.0
_LOOK_EVERY = 0.05


class LocalProxy:
    """One proxy. It ends with the thread that started it last."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._port = free_port()
        self._account = f"demo-{name}:{secrets.token_urlsafe(12)}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def table(self) -> dict[str, str]:
        """Its table in [[scraper.proxies]]."""
        return {"name": self.name, "url": f"{self._account}@127.0.0.1:{self._port}"}

    def start(self) -> None:
        """Start it; see `wait` for the moment when it listens."""
        command = guarded_command([sys.executable, "-m", "supervisor.demo.proxy_program"])
        # Its own process group: it forks, and is killed as a whole. Its output belongs to the other processes' output.
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=2, process_group=0)  # noqa: S603
        assert self._process.stdin is not None  # noqa: S101 - PIPE was asked for
        with self._process.stdin as pipe:
            pipe.write(json.dumps({"port": self._port, "account": self._account}).encode() + b"\n")

    def kill(self) -> None:
        """Kill it: its port and connections are closed."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def wait(self) -> None:
        """Return when it listens."""
        deadline = time.monotonic() + _START_WITHIN
        while not self._listens():
            if time.monotonic() > deadline or self._process is None or self._process.poll() is not None:
                raise TransientError(f"the proxy {self.name} does not start: see processes.err")
            time.sleep(_LOOK_EVERY)

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=1.0):
            return True
        return False


@contextlib.contextmanager
def running(proxies: Sequence[LocalProxy]) -> Iterator[None]:
    """Run all proxies while the block runs."""
    try:
        for proxy in proxies:
            proxy.start()
        for proxy in proxies:
            proxy.wait()
        yield
    finally:
        for proxy in proxies:
            proxy.kill()
