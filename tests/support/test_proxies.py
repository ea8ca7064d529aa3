"""Checks what the other tests require of the proxies: they forward, require their password, and come back."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import aiohttp
import psutil
import pytest
from aiohttp_socks import ProxyConnector
from aiohttp_socks import ProxyError as SocksError

from tests.support.processes import below, command_line
from tests.support.proxies import PProxy, Proxy, ProxyPy, ScriptedProxy, listens
from tests.support.waiting import PATIENCE

KINDS: dict[str, Callable[[Path], Proxy]] = {
    "proxy.py": lambda directory: ProxyPy(directory, "a"),
    "proxy.py-open": lambda directory: ProxyPy(directory, "a", password=False),
    "pproxy-http": lambda directory: PProxy(directory, "a", "http"),
    "pproxy-http-open": lambda directory: PProxy(directory, "a", "http", password=False),
    "pproxy-socks5": lambda directory: PProxy(directory, "a", "socks5"),
    "pproxy-socks5-open": lambda directory: PProxy(directory, "a", "socks5", password=False),
    "scripted": lambda directory: ScriptedProxy(directory, "a"),
}


class Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def target() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hello)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(params=KINDS)
def proxy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Proxy]:
    made = KINDS[request.param](tmp_path)
    made.start()
    yield made
    made.stop()


def fetch(proxy_url: str, target: str, timeout: float = 5.0) -> tuple[int, str]:
    """Send a request through a proxy, with a client that uses none of our code."""

    async def ask() -> tuple[int, str]:
        socks = proxy_url.startswith("socks5")
        connector = ProxyConnector.from_url(proxy_url) if socks else aiohttp.TCPConnector()
        limit = aiohttp.ClientTimeout(total=timeout)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=limit) as session,
            session.get(target, proxy=None if socks else proxy_url) as answer,
        ):
            return answer.status, await answer.text()

    return asyncio.run(ask())


def test_it_hands_on_wants_its_password_and_comes_back_after_a_kill(proxy: Proxy, target: str) -> None:
    """Check that nothing of it is left after a kill, and that `ps` does not show its password."""
    assert fetch(proxy.url, target) == (200, "hello")
    if proxy.user:
        stranger = proxy.url.replace(proxy.token, "guessed")
        if proxy.scheme == "http":
            assert fetch(stranger, target)[0] == 407
        else:
            with pytest.raises((SocksError, OSError, asyncio.IncompleteReadError)):
                fetch(stranger, target)
    process = psutil.Process(proxy.server.pid)
    family = [process, *below(process, recursive=True)]
    shown = " ".join(word for member in family for word in command_line(member))
    assert not [secret for secret in proxy.secrets if secret in shown]
    proxy.kill()
    assert not listens(proxy.port)
    _, alive = psutil.wait_procs(family, timeout=PATIENCE)
    assert not alive
    proxy.start()
    assert fetch(proxy.url, target) == (200, "hello")


def test_the_scripted_one_does_as_it_is_told(tmp_path: Path, target: str) -> None:
    """Check one mode after the other, and that it forwards normally in between."""
    scripted = ScriptedProxy(tmp_path, "a")
    scripted.start()
    try:
        for mode, status in (("407", 407), ("502", 502), ("html", 200)):
            scripted.mode(mode)
            answered, text = fetch(scripted.url, target)
            assert (answered, text == "hello") == (status, False)
            expect_that_it_behaves(scripted, target)
        for mode in ("refuse", "hang", "reset", "slow"):
            scripted.mode(mode)
            with pytest.raises((aiohttp.ClientError, TimeoutError)):
                fetch(scripted.url, target, timeout=0.4)
            expect_that_it_behaves(scripted, target)
        once = ("407", "502", "html", "hang", "slow")
        assert scripted.seen() == {**dict.fromkeys(once, 1), "forward": 7, "reset": scripted.seen()["reset"]}
    finally:
        scripted.stop()


def expect_that_it_behaves(scripted: ScriptedProxy, target: str) -> None:
    scripted.mode("forward")
    assert fetch(scripted.url, target) == (200, "hello")
