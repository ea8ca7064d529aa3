"""Tests the monitor under load: incomplete requests, slow bodies, slow readers, wrong tokens."""

import asyncio
import contextlib
import http.client
import json
import os
import re
import resource
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from supervisor.monitor.web import connection_limits
from supervisor.monitor.web.connection_limits import Phase
from supervisor.monitor.web.listen_address import read_address
from tests.supervisor.monitor.stage import Stage, staged
from tests.supervisor.monitor.test_alive import Alone
from tests.support.durations import allowed
from tests.support.waiting import wait_until, wait_until_async

TOKEN = "a-long-random-token-0815"
HALF = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
SLOW_BODY = (
    b"POST /api/restart HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Monitor-Token: " + TOKEN.encode() + b"\r\n"
    b"Content-Length: 4000\r\n\r\n{"
)
METRICS = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
EVENTS = b"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A monitor with short time limits."""
    short = {Phase.HEAD: 1.5, Phase.WORKING: 2.5, Phase.ANSWERED: 1.5, Phase.IDLE: 2.5}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection_limits, "TIMEOUTS", short)
        patch.setattr(connection_limits, "READ_TIMEOUT", 1.5)
        with staged(tmp_path_factory.mktemp("monitor"), token=TOKEN).running() as stage:
            yield stage


def dropped(stage: Stage, reason: str) -> int:
    found = re.search(rf'dropped_total{{reason="{reason}"}} (\d+)', stage.get("/metrics").body)
    assert found is not None
    return int(found[1])


def connected(stage: Stage, data: bytes) -> socket.socket:
    one = socket.create_connection(("127.0.0.1", stage.port), timeout=10.0)
    one.sendall(data)
    return one


def until_closed(one: socket.socket) -> bytes:
    """Read until the other end closes."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while part := one.recv(65536):
            received += part
    return received


class TestTime:
    def test_a_head_that_does_not_come_is_answered_with_408(self, stage: Stage) -> None:
        before = dropped(stage, "request_late")
        halves = [connected(stage, data) for data in (b"", b"G", HALF, HALF + b"\r\nX-More: ")]
        for one in halves:
            with one:
                assert until_closed(one).startswith(b"HTTP/1.1 408 ")
        assert dropped(stage, "request_late") == before + len(halves)

    def test_a_byte_now_and_then_gives_no_more_time(self, stage: Stage) -> None:
        began = time.monotonic()
        with connected(stage, HALF) as one:
            one.settimeout(0.05)
            while time.monotonic() - began < 10.0:
                try:
                    if not one.recv(1000):
                        break
                except TimeoutError:
                    one.sendall(b"a")
                except ConnectionResetError:
                    break
        assert time.monotonic() - began < allowed(5.0)

    def test_a_second_request_has_the_same_limit(self, stage: Stage) -> None:
        with connected(stage, b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n") as one:
            assert one.recv(1000).startswith(b"HTTP/1.1 200 ")
            one.sendall(HALF)
            assert b"200" not in until_closed(one)

    def test_a_connection_is_kept_for_the_next_request_for_a_while(self, stage: Stage) -> None:
        before = dropped(stage, "request_late")
        kept = http.client.HTTPConnection("127.0.0.1", stage.port, timeout=10)
        for _ in range(5):
            kept.request("GET", "/healthz")
            assert kept.getresponse().read() == b"ok\n"
        assert kept.sock is not None, "it was one connection"
        assert until_closed(kept.sock) == b""
        kept.close()
        assert dropped(stage, "request_late") == before

    def test_a_body_that_does_not_come(self, stage: Stage) -> None:
        with connected(stage, SLOW_BODY) as one:
            assert b" 202 " not in until_closed(one)

    def test_who_does_not_read_is_let_go(self, stage: Stage) -> None:
        with connected(stage, METRICS):
            wait_until(lambda: "monitor_connections 1\n" not in stage.get("/metrics").body, what="it to be counted")
            wait_until(lambda: "monitor_connections 1\n" in stage.get("/metrics").body, what="it to be let go")


class TestOneAtATime:
    def test_what_is_sent_before_the_answer_ends_the_connection_with_it(self, stage: Stage) -> None:
        with connected(stage, METRICS * 50) as one:
            assert until_closed(one).count(b"HTTP/1.1 200 OK") == 1

    def test_a_quick_client_keeps_its_connection(self, stage: Stage) -> None:
        """The next request arrives before the end of the previous one is detected."""
        kept = http.client.HTTPConnection("127.0.0.1", stage.port, timeout=10)
        kept.connect()
        first = kept.sock
        for _ in range(200):
            kept.request("GET", "/healthz")
            assert kept.getresponse().read() == b"ok\n"
        assert kept.sock is first
        kept.close()

    def test_a_request_in_pieces_is_one_request(self, stage: Stage) -> None:
        with socket.create_connection(("127.0.0.1", stage.port), timeout=10.0) as one:
            for number in range(len(METRICS)):
                one.sendall(METRICS[number : number + 1])
            assert one.recv(20).startswith(b"HTTP/1.1 200")

    def test_a_body_in_a_packet_of_its_own_arrives(self, stage: Stage) -> None:
        head, _, _ = SLOW_BODY.partition(b"Content-Length")
        body = json.dumps({"process": "comments"}).encode()
        with connected(stage, head + b"Content-Length: %d\r\n\r\n" % len(body)) as one:
            one.sendall(body)
            assert until_closed(one).startswith(b"HTTP/1.1 202 ")

    @pytest.mark.parametrize("data", [b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/9.9\r\n\r\n", b"nonsense\n\n", b"\x00"])
    def test_what_is_no_http_is_refused_and_counted(self, stage: Stage, data: bytes) -> None:
        with connected(stage, data) as one:
            assert until_closed(one).startswith((b"HTTP/1.0 400 ", b"HTTP/1.1 400 "))

    def test_bad_requests_are_counted(self, stage: Stage) -> None:
        before = dropped(stage, "bad_request")
        for _ in range(20):
            with connected(stage, b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nBad Header\r\n\r\n") as one:
                until_closed(one)
        assert dropped(stage, "bad_request") == before + 20


class TestTokens:
    def test_wrong_ones_are_slowed_down_and_the_right_one_waits_with_them(self, stage: Stage) -> None:
        def attempt(token: str) -> tuple[int, str | None]:
            answer = stage.get("/api/restart", "POST", '{"process": "comments"}', X_Monitor_Token=token)
            return answer.status, answer.headers.get("Retry-After")

        assert [attempt("wrong")[0] for _ in range(5)] == [403] * 5
        status, retry_after = attempt(TOKEN)
        assert (status, retry_after) == (429, "1")
        assert attempt(TOKEN)[0] == 202, "the pause is over: it was waited for with the refusal"
        assert "monitor_wrong_tokens_total 6" in stage.get("/metrics").body


def raise_files(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        if hard < wanted:
            pytest.skip(f"only {hard} files may be open here")
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def healthz(port: int) -> float:
    """Request as a probe does, on a new connection; return the seconds it took."""
    began = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/healthz")
    assert connection.getresponse().read() == b"ok\n"
    connection.close()
    return time.monotonic() - began


async def hold(port: int, data: bytes, over: asyncio.Event, connected: list[int]) -> None:
    """Keep a connection open with a byte now and then; reconnect when it is closed. Count connections."""
    while not over.is_set():
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            connected.append(port)
            writer.write(data)
            while not (over.is_set() or reader.at_eof() or writer.is_closing()):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.5):
                        await reader.read(100)
                writer.write(b"a")
            writer.transport.abort()
        with contextlib.suppress(TimeoutError):  # the pause before the next connection
            async with asyncio.timeout(1.0):
                await over.wait()


async def besieged(port: int, held: Mapping[bytes, int], probes: int) -> list[float]:
    """Return how long each /healthz took while connections of each kind are open."""
    over, connected = asyncio.Event(), list[int]()
    async with asyncio.TaskGroup() as group:
        for data, count in held.items():
            for _ in range(count):
                group.create_task(hold(port, data, over, connected))
        await wait_until_async(lambda: len(connected) >= sum(held.values()) // 2, "most connections to be made")
        times = [await asyncio.to_thread(healthz, port) for _ in range(probes)]
        over.set()
    return times


def test_a_probe_is_answered_under_two_thousand_half_requests(tmp_path: Path) -> None:
    """Case 8, with RLIMIT_NOFILE as a service has it: half heads, slow bodies, events, clients that do not read."""
    raise_files(4096)
    alone = Alone(tmp_path)
    limited = "resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024)); os.execv(sys.argv[1], sys.argv[1:])"
    limited = f"import os, resource, sys; {limited}"
    alone.server.command[:0] = [sys.executable, "-c", limited]
    alone.server.start()
    try:
        address = wait_until(lambda: read_address(alone.state_dir), 30.0, "the monitor to listen")
        assert address is not None
        held = {HALF: 2000, SLOW_BODY: 200, METRICS * 20: 200, EVENTS: 200}
        times = asyncio.run(besieged(address.port, held, 8))
        assert max(times) < 2.0, times
        assert len(os.listdir(f"/proc/{address.pid}/fd")) < 512  # noqa: PTH208
        wait_until(alone.monitor, what="the monitor to be as before")
        log = (tmp_path / "logs" / "monitor.log").read_text()
        assert 1 <= log.count("connections_dropped") < 10
        assert len(log) < 10_000
    finally:
        alone.server.kill()
