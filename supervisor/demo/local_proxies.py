"""The demo's proxies: real ones on this machine, each with a user and a password, which can fail and recover.

`python -m supervisor.demo.local_proxies` is the program of one proxy. Its port and its `user:password` come on
standard input, as one line of JSON, so that `ps` shows no password.
"""

import contextlib
import ctypes
import json
import multiprocessing
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from tempfile import TemporaryDirectory

from core.errors import TransientError
from core.process.parent_guard import guarded_command
from core.process.procfs import free_port

_START_TIMEOUT_S = 15.0
_POLL_INTERVAL_S = 0.05
_PR_SET_PDEATHSIG = 1


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
        command = guarded_command([sys.executable, "-m", "supervisor.demo.local_proxies"])
        # Its own process group: it forks, and is killed as a whole. Its output belongs to the other processes' output.
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=2, process_group=0)  # noqa: S603
        assert self._process.stdin is not None  # noqa: S101 - PIPE was requested
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
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._listens():
            if time.monotonic() > deadline or self._process is None or self._process.poll() is not None:
                raise TransientError(f"proxy {self.name} did not start: see processes.err")
            time.sleep(_POLL_INTERVAL_S)

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


def _die_with_parent() -> None:
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def main() -> None:
    """Serve as one proxy until killed."""
    from proxy import Proxy  # noqa: PLC0415 - only where a proxy runs

    settings = json.loads(sys.stdin.readline())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the supervisor
    # proxy.py works in processes of its own, which must not live on without it
    multiprocessing.set_start_method("fork", force=True)
    os.register_at_fork(after_in_child=_die_with_parent)
    with TemporaryDirectory(prefix="gapless-proxy-") as directory:
        options = ["--hostname", "127.0.0.1", "--port", str(settings["port"]), "--data-dir", directory]
        options += ["--num-acceptors", "1", "--num-workers", "1", "--log-level", "ERROR"]
        with Proxy(options, basic_auth=settings["account"]):
            signal.pause()


if __name__ == "__main__":
    main()
