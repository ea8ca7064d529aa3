"""Real proxies: proxy.py and pproxy, HTTP and SOCKS5, with a password and without; and one that misbehaves.

Each is a process of its own that dies with the tests. Its user and password are new in every run, contain the
characters that people forget to encode, and reach the process through a file, so that `ps` shows none of them.
"""

import base64
import contextlib
import json
import os
import secrets
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.support.authority import Authority
from tests.support.ports import free_port
from tests.support.server import ServerProcess
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]

# proxy.py does its work in forked processes: they must not outlive it, even if it is killed.
_PROXY_PY = """
import ctypes, multiprocessing, os, pathlib, signal, sys
import proxy
os.register_at_fork(after_in_child=lambda: ctypes.CDLL(None).prctl(1, signal.SIGKILL))
multiprocessing.set_start_method("fork", force=True)
account = pathlib.Path(sys.argv.pop(1)).read_text().strip()
proxy.main(basic_auth=account or None)
"""

# uvloop, which pproxy prefers, no longer creates the event loop that pproxy requires.
_PPROXY = """
import asyncio, sys
sys.modules["uvloop"] = None
asyncio.set_event_loop(asyncio.new_event_loop())
from pproxy.server import main
main()
"""


class Proxy:
    """One proxy on one port, run any number of times; `url` is its entry in the configuration."""

    def __init__(self, directory: Path, name: str, scheme: str, *, password: bool) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.scheme = scheme
        self.port = free_port()
        self.token = secrets.token_hex(10)
        self.user = f"user-{secrets.token_hex(3)}" if password else ""
        self.password = f"{self.token}@:/#%?" if password else ""
        self._accounts = directory / f"{name}.accounts"
        self._accounts.write_text(f"{self.user}:{self.password}\n" if password else "")
        self.server = ServerProcess(self._command(directory), directory / f"{name}.out", cwd=directory, env=_env())

    @property
    def url(self) -> str:
        """The URL in the form of the configuration."""
        account = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}@" if self.user else ""
        return f"{self.scheme}://{account}127.0.0.1:{self.port}"

    @property
    def table(self) -> dict[str, str]:
        """The proxy as one of the tables [[scraper.proxies]]."""
        return {"name": self.name, "url": self.url}

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no log may contain: the password in each form that it takes on its way."""
        if not self.user:
            return ()
        header = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        return (self.token, header, base64.b64encode(self.password.encode()).decode())

    def _command(self, directory: Path) -> list[str]:
        raise NotImplementedError

    def start(self) -> None:
        """Start it, or start it again on the same port, and return when it takes connections."""
        self.server.start()
        wait_until(self._listens, what=f"the proxy {self.name} to listen on port {self.port}")

    def kill(self) -> None:
        """Kill it with SIGKILL: its port is closed, its connections are reset."""
        self.server.kill()
        wait_until(lambda: not listens(self.port), what=f"the processes of {self.name} to be gone")

    def stop(self) -> None:
        self.kill()

    def _listens(self) -> bool:
        if not self.server.running:
            raise AssertionError(f"{self.name} ended with {self.server.returncode}:\n{self.server.tail()}")
        return listens(self.port)


class ProxyPy(Proxy):
    """proxy.py: HTTP; with an authority, over TLS (https:// in front of its address)."""

    def __init__(
        self, directory: Path, name: str, *, password: bool = True, authority: Authority | None = None
    ) -> None:
        self._authority = authority
        super().__init__(directory, name, "https" if authority else "http", password=password)

    def _command(self, directory: Path) -> list[str]:
        options = ["--hostname", "127.0.0.1", "--port", str(self.port), "--num-acceptors", "1", "--num-workers", "1"]
        options += ["--log-level", "WARNING", "--data-dir", str(directory / "proxy.py"), "--timeout", "60"]
        if self._authority is not None:
            options += ["--cert-file", str(self._authority.certificate), "--key-file", str(self._authority.key)]
        return [sys.executable, "-c", _PROXY_PY, self._accounts.name, *options]


class PProxy(Proxy):
    """pproxy: HTTP or SOCKS5. It requires the password on every connection."""

    def __init__(self, directory: Path, name: str, scheme: str, *, password: bool = True) -> None:
        super().__init__(directory, name, scheme, password=password)

    def _command(self, directory: Path) -> list[str]:  # noqa: ARG002  the same for every kind
        # the file is named without its folder: pproxy reads two consecutive underscores as the end of an address
        accounts = f"##{self._accounts.name}" if self.user else ""
        listen = f"{self.scheme}://127.0.0.1:{self.port}/{accounts}"
        return [sys.executable, "-c", _PPROXY, "--auth=-1", "-l", listen]


class ScriptedProxy(Proxy):
    """An HTTP proxy that a test controls while it runs; see `tests.support.scripted_proxy` for the modes."""

    def __init__(self, directory: Path, name: str, *, password: bool = True, mode: str = "forward") -> None:
        self._control = free_port()
        self._first = mode
        super().__init__(directory, name, "http", password=password)

    def _command(self, directory: Path) -> list[str]:
        ports = [str(self.port), str(self._control)]
        accounts = str(directory / self._accounts.name)
        return [sys.executable, "-m", "tests.support.scripted_proxy", *ports, accounts, self._first]

    def mode(self, mode: str) -> None:
        """Switch the mode from the next request on; `refuse` also cuts open connections."""
        self._ask({"mode": mode})
        wait_until(lambda: listens(self.port) == (mode != "refuse"), what=f"{self.name} to {mode}")

    def seen(self) -> dict[str, int]:
        """Return the number of requests received in each mode (connections, if it does not read them)."""
        answer: dict[str, int] = self._ask({})["seen"]
        return answer

    def _listens(self) -> bool:
        return super()._listens() or (self._first == "refuse" and listens(self._control))

    def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        with socket.create_connection(("127.0.0.1", self._control), timeout=10.0) as connection:
            connection.sendall(json.dumps(order).encode() + b"\n")
            answer: dict[str, Any] = json.loads(connection.makefile("rb").readline())
        return answer


def listens(port: int) -> bool:
    """Return whether a server takes connections there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5.0).close()
    except ConnectionRefusedError:
        return False
    except ConnectionResetError:  # it took this connection, and died
        return True
    return True


def _env() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@contextlib.contextmanager
def running(*proxies: Proxy) -> Iterator[tuple[Proxy, ...]]:
    """Start proxies, and stop them at the end."""
    try:
        for proxy in proxies:
            proxy.start()
        yield proxies
    finally:
        for proxy in proxies:
            proxy.stop()
