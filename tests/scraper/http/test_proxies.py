"""Through real proxies, HTTP and SOCKS5, in clear and encrypted: connections are reused, and a dead one comes back."""

import asyncio
import signal
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import structlog
import uvloop

from core.errors import PermanentError
from core.reddit.request_errors import BadAnswer, ServerTrouble, Unreachable
from scraper.http.transport.route import ProxyRejectsUs, ProxyResting
from tests.scraper.http.clients import running
from tests.scraper.http.script import HTML, LISTING, Reply, Script
from tests.scraper.http.times import Times, until
from tests.support.authority import Authority
from tests.support.ports import free_port
from tests.support.proxies import PProxy, Proxy, ProxyPy
from tests.support.proxies import running as each_running

SCHEMES = ("http", "https", "socks5", "proxy.py")


class Encrypted(PProxy):
    """pproxy behind TLS."""

    def __init__(self, directory: Path, authority: Authority) -> None:
        self._files = f"{authority.certificate},{authority.key}"
        super().__init__(directory, "encrypted", "http+ssl")

    def _command(self, directory: Path) -> list[str]:
        return [*super()._command(directory), "--ssl", self._files]

    @property
    def url(self) -> str:
        return super().url.replace("http+ssl", "https")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def proxies(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[dict[str, Proxy]]:
    """One of each, all with a password; stopped at the end."""
    directory = tmp_path_factory.mktemp("proxies")
    made: dict[str, Proxy] = {
        "http": PProxy(directory, "clear", "http"),
        "https": Encrypted(directory, authority),
        "socks5": PProxy(directory, "socks", "socks5"),
        "proxy.py": ProxyPy(directory, "proxypy"),
    }
    with each_running(*made.values()):
        yield made


@pytest.fixture
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """Trust the test's authority, as one does on the command line; returns what its server needs."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.root))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority.certificate, authority.key)
    return context


@pytest.mark.parametrize("target", ["http", "https"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_connections_are_reused(scheme: str, target: str, proxies: dict[str, Proxy], trusted: ssl.SSLContext) -> None:
    """Also an https:// target through an https:// proxy: TLS within TLS."""

    async def scenario() -> None:
        tls = trusted if target == "https" else None
        async with Script(tls=tls) as script, running(script.url, proxies[scheme].url, concurrency=5) as client:
            assert await client.probe()
            for _ in range(3):
                answers = await asyncio.gather(*(client.get("/r/Bitcoin/hot", {"limit": 30}) for _ in range(20)))
                assert answers == [LISTING] * 20
            assert len(script.asked) == 61
            assert len(script.connections) <= 6
            assert client.report().outcomes == {"ok": 61}
            if target == "https":
                assert not [headers for headers in script.headers if "Proxy-Authorization" in headers]

    uvloop.run(scenario())


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_certificate_that_nobody_vouches_for_is_refused(
    scheme: str, proxies: dict[str, Proxy], tmp_path: Path
) -> None:
    other = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    stranger = Authority(tmp_path)
    other.load_cert_chain(stranger.certificate, stranger.key)

    async def scenario() -> None:
        async with Script(tls=other) as script, running(script.url, proxies[scheme].url, max_retries=0) as client:
            with pytest.raises(Unreachable, match=r"(?i)certificate.*SSL_CERT_FILE"):
                await client.get("/r/Bitcoin/about", {})
            assert script.asked == []

    uvloop.run(scenario())


@pytest.mark.parametrize("target", ["http", "https"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_wrong_password_is_named_as_such(
    scheme: str, target: str, proxies: dict[str, Proxy], trusted: ssl.SSLContext
) -> None:
    proxy = proxies[scheme]
    parts = urlsplit(proxy.url)
    wrong = f"{parts.scheme}://{proxy.user}:nonsense@127.0.0.1:{proxy.port}"

    async def scenario() -> None:
        tls = trusted if target == "https" else None
        async with Script(tls=tls) as script, running(script.url, wrong, max_retries=0) as client:
            # pproxy hangs up on a wrong SOCKS password without a word
            expected = Unreachable if scheme == "socks5" else ProxyRejectsUs
            with pytest.raises(expected):
                await client.get("/r/Bitcoin/about", {})
            assert script.asked == []
            assert not await client.probe()
            if expected is ProxyRejectsUs:
                assert set(client.report().outcomes) == {"proxy_auth"}
                assert set(client.report().statuses) == {407}

    uvloop.run(scenario())


def test_a_socks_proxy_says_that_the_password_is_wrong() -> None:
    """By the book: method 2 is wanted, and then refused (RFC 1929)."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"\x05\x02")
        await reader.read(100)
        writer.write(b"\x01\x01")
        writer.close()

    async def scenario() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with running("http://127.0.0.1:1", f"socks5://u:p@127.0.0.1:{port}", max_retries=0) as client:
            with pytest.raises(ProxyRejectsUs):
                await client.get("/r/Bitcoin/about", {})
        server.close()

    uvloop.run(scenario())


def test_letters_that_socks_cannot_carry_are_refused_at_the_start() -> None:
    async def scenario() -> None:
        with pytest.raises(PermanentError, match="ASCII"):
            async with running("http://127.0.0.1:1", "socks5://u:p%C3%A9@127.0.0.1:1"):
                pass

    uvloop.run(scenario())


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_killed_proxy_rests_and_comes_back(scheme: str, tmp_path: Path) -> None:
    proxy = PProxy(tmp_path, "mortal", scheme)

    async def scenario() -> None:
        times = Times()
        away = asyncio.Event()

        async def sleep(seconds: float) -> None:
            if seconds > 4.0:  # the rest; retries pause for less, and take no time at all
                await away.wait()
                await times.sleep(seconds)

        async with (
            Script() as script,
            running(script.url, proxy.url, clock=times.clock, sleep=sleep, max_retries=1) as client,
        ):
            assert await client.probe()
            with structlog.testing.capture_logs() as lines:
                proxy.kill()
                tasks = [client.get("/r/Bitcoin/about", {}) for _ in range(20)]
                results = await asyncio.gather(*tasks, return_exceptions=True)
                assert {type(result) for result in results} <= {ProxyResting, Unreachable}
                assert client.resting
                assert client.idle == 0
                with pytest.raises(ProxyResting):
                    await client.get("/r/Bitcoin/about", {})
                report = client.report()
                assert report.state == "resting"
                assert report.resting_until is not None
                assert report.consecutive_failures >= 5
                asked = len(script.asked)
                await asyncio.to_thread(proxy.start)
                away.set()
                await until(lambda: not client.resting, "the proxy to be back")
                assert len(script.asked) == asked + 1, "one request decides"
                assert await client.get("/r/Bitcoin/about", {}) == LISTING
            events = [line["event"] for line in lines if line["event"].startswith("proxy_")]
            assert events[:2] == ["proxy_failing", "proxy_rests"]
            assert events[-1] == "proxy_recovered"
            assert lines[-1]["seconds_away"] > 4.0

    try:
        proxy.start()
        uvloop.run(scenario())
    finally:
        proxy.stop()


@pytest.mark.parametrize("concurrency", [1, 3, 20])
def test_a_frozen_proxy_is_noticed_within_one_timeout_or_two(concurrency: int, tmp_path: Path) -> None:
    """With several requests under way after one timeout; with one alone the second has to confirm it."""
    proxy = PProxy(tmp_path, "frozen", "http")

    async def scenario() -> None:
        options: dict[str, Any] = {"timeout": 0.4, "max_retries": 1, "concurrency": concurrency}
        async with Script() as script, running(script.url, proxy.url, **options) as client:
            await asyncio.gather(*(client.get("/r/a/about", {}) for _ in range(concurrency)))
            proxy.server.signal(signal.SIGSTOP)
            tasks = [asyncio.create_task(client.get("/r/a/about", {})) for _ in range(concurrency)]
            began = asyncio.get_running_loop().time()
            await until(lambda: client.resting, "the proxy to rest")
            took = asyncio.get_running_loop().time() - began
            assert took < (3.0 if concurrency == 1 else 2.0)
            await asyncio.gather(*tasks, return_exceptions=True)

    try:
        proxy.start()
        uvloop.run(scenario())
    finally:
        proxy.stop()


@pytest.mark.parametrize("tunnel", [True, False], ids=["https", "http"])
@pytest.mark.parametrize("reply", [Reply(503, HTML), Reply(200, HTML)], ids=["503", "html"])
def test_a_page_instead_of_answers_again_and_again_means_a_rest(
    reply: Reply, tunnel: bool, proxies: dict[str, Proxy], trusted: ssl.SSLContext
) -> None:
    """Whoever gives it, through a tunnel or not: five in a row, and one more for something else decides."""

    async def scenario() -> None:
        async with (
            Script(tls=trusted if tunnel else None) as script,
            running(script.url, proxies["http"].url, max_retries=0) as client,
        ):
            assert await client.probe()
            script.otherwise = reply
            for number in range(5):
                assert not client.resting, number
                with pytest.raises((ServerTrouble, BadAnswer)):
                    await client.get("/r/a/about", {})
            await until(lambda: client.resting, "the proxy to rest")

    uvloop.run(scenario())


def test_a_proxy_that_cannot_reach_reddit_says_so(proxies: dict[str, Proxy]) -> None:
    async def scenario() -> None:
        async with running(f"https://127.0.0.1:{free_port()}", proxies["proxy.py"].url, max_retries=0) as client:
            with pytest.raises(Unreachable):
                await client.get("/r/a/about", {})

    uvloop.run(scenario())
